"""Gateways that are wrong in one way; each names the conformance tests that are there to catch it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import unquote

from tests.mutants.answers import RefusedError, closed, without
from tests.mutants.backends import Backend
from tests.mutants.joint import STUDIO, Joint, Streams
from tests.mutants.registry import joint_mutant, mutant
from tests.mutants.toy import Toy
from tests.mutants.verdicts import Verdict

from memmie_harness.conformance.peers import CONT, PING, PONG, TEXT, Frame, Head, build, close_body

# The handshake.


@mutant("refusals/answer-waits-for-backend", "refusals/backend-500", "refusals/passes-401")
class AnswersBeforeTheBackend(Toy):
    async def dial(self, head: Head, user: str, token: str, writer: asyncio.StreamWriter | None) -> Backend:
        if writer is not None:
            writer.write(self.client_answer(head, Head("", ()), token))
        studio = self.choose(user)[0]
        reader, backend = await asyncio.open_connection(studio.hostname, studio.port)
        backend.write(self.backend_request(studio.netloc, head, user, token))
        try:
            await reader.readuntil(b"\r\n\r\n")
        except EOFError:
            await closed(backend)
            raise
        return reader, backend, Head("", ())


@mutant("handshake/studio-frame-behind-101", "handshake/studio-frames-behind-101")
class LosesEarlyFramesOfTheBackend(Toy):
    async def dial(self, head: Head, user: str, token: str, writer: asyncio.StreamWriter | None) -> Backend:
        reader, backend, answer = await super().dial(head, user, token, writer)
        reader._buffer.clear()  # type: ignore[attr-defined] # what came together with the head
        return reader, backend, answer


@mutant("handshake/client-frame-behind-request")
class LosesEarlyFramesOfTheClient(Toy):
    async def upgrade(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._buffer.clear()  # type: ignore[attr-defined] # what came together with the head
        await super().upgrade(head, reader, writer)


@mutant("handshake/upgrade-mixed-case", "handshake/upgrade-upper-case")
class ComparesUpgradeByCase(Toy):
    def check_upgrade(self, head: Head) -> None:
        super().check_upgrade(head)
        if head.get("upgrade") != "websocket":
            raise RefusedError(400)


@mutant("handshake/connection-list", "handshake/connection-in-two-fields")
class WantsConnectionToBeUpgradeAlone(Toy):
    def check_upgrade(self, head: Head) -> None:
        super().check_upgrade(head)
        if head.get("connection").lower() != "upgrade":
            raise RefusedError(400)


@mutant("refusals/wrong-accept", "refusals/no-accept", "refusals/backend-no-upgrade")
class BelievesEvery101(Toy):
    def accepts(self, head: Head, answer: Head, status: int) -> bool:
        del head, answer
        return status == 101


# What is forwarded of the request.


@mutant("forwarding/query-encoded", "forwarding/query-signature", "forwarding/query-not-encoded-twice")
class DecodesTheQuery(Toy):
    def query(self, head: Head, token: str) -> str:
        return unquote(super().query(head, token))


@mutant("forwarding/query-order")
class SortsTheQuery(Toy):
    def query(self, head: Head, token: str) -> str:
        return "&".join(sorted(super().query(head, token).split("&")))


@mutant("identity/query-encoded", "identity/query-encoded-underscore", "identity/query-upper-case")
class KnowsOneSpellingOfTheUser(Toy):
    def may_be_user(self, name: str) -> bool:
        return name == "user_id"


@mutant("identity/header-plain", "identity/header-lower-case", "identity/header-twice")
class LetsTheClientSayWhoItIs(Toy):
    def client_fields(self, head: Head, token: str) -> list[str]:
        own = [f"X-User-ID: {value}" for name, value in head.fields if name == "x-user-id"]
        return [*super().client_fields(head, token), *own]


@mutant("forwarding/spoofed-for", "forwarding/spoofed-for-lower-case")
class TrustsForwardedFor(Toy):
    def forwarded(self, head: Head) -> list[str]:
        given = head.get("x-forwarded-for")
        return [f"X-Forwarded-For: {given + ', ' if given else ''}127.0.0.1"]


@mutant("forwarding/named-by-connection", "forwarding/named-in-other-case")
class ForwardsWhatConnectionNames(Toy):
    def client_fields(self, head: Head, token: str) -> list[str]:
        hop = [f"{name}: {value}" for name, value in head.fields if name == "x-hop"]
        return [*super().client_fields(head, token), *hop]


# Tokens and Auth.


@mutant("auth/in-subprotocol", "auth/hidden-subprotocol")
class EchoesTheToken(Toy):
    def client_answer(self, head: Head, answer: Head, token: str) -> bytes:
        right = super().client_answer(head, answer, token)
        return right.replace(b"Protocol: bearer", b"Protocol: " + token.encode())


@mutant("auth/hidden-header")
class SendsTheTokenToTheBackend(Toy):
    def client_fields(self, head: Head, token: str) -> list[str]:
        return [*super().client_fields(head, token), f"Authorization: Bearer {token}"]


@mutant("auth/not-logged")
class LogsTheToken(Toy):
    def find_token(self, head: Head) -> str | None:
        self.log(f"request {head.target} {head.get('authorization')}")
        return super().find_token(head)


@mutant("auth/refusal-ends")
class RemembersRefusalsForEver(Toy):
    def cache_seconds(self, verdict: Verdict) -> float:
        return super().cache_seconds(verdict) if verdict.status != 401 else 3600


@mutant("auth/cached-until-expiry")
class RemembersExpiredTokens(Toy):
    def cache_seconds(self, verdict: Verdict) -> float:
        return super().cache_seconds(replace(verdict, expires=None))


@mutant("auth/cached")
class AsksAuthEachTime(Toy):
    def cache_seconds(self, verdict: Verdict) -> float:
        del verdict
        return 0


@mutant("auth/poisoned-token")
class HasOneBreakerForAll(Toy):
    failures = 0

    async def verdict(self, token: str) -> Verdict:
        if self.failures > 5:
            return Verdict(503)
        verdict = await super().verdict(token)
        self.failures += verdict.status >= 500
        return verdict


@mutant("auth/says-500", "auth/hangs-up")
class LetsEverybodyInWhileAuthFails(Toy):
    async def ask(self, token: str) -> Verdict:
        verdict = await super().ask(token)
        return verdict if verdict.status < 500 else Verdict(200, "anybody")


@mutant("auth/expires")
class ForgetsThatTokensExpire(Toy):
    async def serve_joint(self, joint: Joint, verdict: Verdict) -> None:
        await super().serve_joint(joint, replace(verdict, expires=None))


# Messages.


@joint_mutant("data/fragments-up", "data/fragments-many-down")
class DropsAFragment(Joint):
    def write(self, to: int, frame: Frame) -> None:
        if frame.opcode == CONT and not frame.fin:
            return
        super().write(to, frame)


@joint_mutant("data/order-up", "data/order-down")
class Reorders(Joint):
    kept: Frame | None = None

    def write(self, to: int, frame: Frame) -> None:
        if frame.payload == b"500":
            self.kept = frame
            return
        super().write(to, frame)
        if self.kept is not None:
            frame, self.kept = self.kept, None
            super().write(to, frame)


@joint_mutant("data/text-is-not-binary-up", "data/text-down")
class SendsTextAsBinary(Joint):
    def write(self, to: int, frame: Frame) -> None:
        super().write(
            to, Frame(2, frame.payload, frame.fin, frame.reserved) if frame.opcode == TEXT else frame
        )


@joint_mutant("data/masks-for-backend", "data/size-125-up")
class DoesNotMask(Joint):
    def build(self, to: int, frame: Frame) -> bytes:
        del to
        return build(frame.opcode, frame.payload, fin=frame.fin, reserved=frame.reserved)


@joint_mutant("data/ping-up", "data/ping-down")
class SwallowsPings(Joint):
    def write(self, to: int, frame: Frame) -> None:
        if frame.opcode != PING:
            super().write(to, frame)


# Ends.


@joint_mutant("closes/code-4000-up", "closes/code-1001-down")
class SwallowsCodes(Joint):
    def closing(self, side: int, payload: bytes) -> bytes:
        del side, payload
        return close_body(1000)


@joint_mutant("closes/without-code-up", "closes/without-code-down")
class Sends1005(Joint):
    def closing(self, side: int, payload: bytes) -> bytes:
        del side
        return payload or close_body(1005)


@joint_mutant("closes/forbidden-1005-up", "closes/forbidden-1006-down")
class ForwardsForbiddenCodes(Joint):
    def check_close(self, payload: bytes) -> None:
        del payload


@joint_mutant("closes/fin-tells-down", "closes/reset-down")
class KeepsTheClientOfALostBackend(Joint):
    async def lost(self, side: int) -> None:
        if side == STUDIO:
            await asyncio.get_running_loop().create_future()
        await super().lost(side)


@joint_mutant("violations/rsv-40-up", "violations/opcode-3-down", "violations/continuation-of-nothing-up")
class ForwardsEveryFrame(Joint):
    def check(self, side: int, frame: Frame) -> None:
        del side, frame


# Limits and hostile input.


@mutant("limits/user-back-after-reset", "limits/user-back-after-refusal")
class LeaksPlaces(Toy):
    def release(self, user: str) -> None:
        del user


@mutant("limits/user-race")
class CountsOnlyWhatTheBackendAccepted(Toy):
    def admit(self, user: str) -> None:
        super().admit(user)
        self.connections[user] -= 1

    async def serve_joint(self, joint: Joint, verdict: Verdict) -> None:
        self.connections[verdict.user] += 1
        await super().serve_joint(joint, verdict)

    def release(self, user: str) -> None:
        self.connections[user] = max(0, self.connections[user] - 1)


@joint_mutant("limits/message-above-limit-up", "limits/fragments-above-limit-down")
class TakesMessagesOfAnySize(Joint):
    max_message = 1 << 40


@joint_mutant("limits/fragments-above-limit-up")
class LooksAtTheSizeOfSingleFrames(Joint):
    def check(self, side: int, frame: Frame) -> None:
        super().check(side, frame)
        self.size[side] = 0


@mutant("hostile/two-hosts", "hostile/two-equal-hosts")
class TakesTheFirstOfTwoHosts(Toy):
    def check_request(self, head: Head) -> str:
        first = next(field for field in head.fields if field[0] == "host")
        others = tuple(field for field in head.fields if field[0] != "host")
        return super().check_request(Head(head.first_line, (first, *others), head.body, head.names))


@mutant("handshake/body-length", "handshake/body-chunked")
class PassesABodyOnBehindThe101(Toy):
    def check_upgrade(self, head: Head) -> None:
        super().check_upgrade(without(head, *self.body_fields(head)))

    async def connect(self, head: Head, client: Streams, token: str, *, answered: bool = False) -> None:
        names = self.body_fields(head)
        if "content-length" in names:
            head = replace(head, body=await client[0].readexactly(11))
        elif names:
            head = replace(head, body=await client[0].readuntil(b"0\r\n\r\n"))
        await super().connect(head, client, token, answered=answered)

    async def dial(self, head: Head, user: str, token: str, writer: asyncio.StreamWriter | None) -> Backend:
        backend = await super().dial(without(head, *self.body_fields(head)), user, token, writer)
        backend[1].write(head.body)
        return backend

    @staticmethod
    def body_fields(head: Head) -> list[str]:
        fields = [field for field in head.fields if field[0] in {"content-length", "transfer-encoding"}]
        known = [("content-length", "11")], [("transfer-encoding", "chunked")]
        return [name for name, _ in fields] if fields in known else []


@mutant("hostile/line-end-in-query")
class DecodesLineEnds(Toy):
    def query(self, head: Head, token: str) -> str:
        return super().query(head, token).replace("%0d%0a", "\r\n")


# Back-pressure.


@joint_mutant("pressure/stops-the-sender-up", "pressure/stops-the-sender-down")
class KeepsEverythingForASlowReceiver(Joint):
    async def forward(self, side: int, frame: Frame) -> None:
        if frame.opcode == PONG:
            await super().forward(side, frame)
        elif not self.closed[1 - side]:
            self.write(1 - side, frame)
