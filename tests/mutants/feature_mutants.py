"""Gateways that are wrong in one way, in a feature that most of the tests do not need, such as keepalive or TLS."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import zlib
from dataclasses import replace
from urllib.parse import SplitResult

from tests.mutants.answers import RefusedError
from tests.mutants.backends import Backend
from tests.mutants.joint import Joint
from tests.mutants.late_tokens import Lease
from tests.mutants.registry import joint_mutant, mutant, socket_mutant
from tests.mutants.socket_io import SocketJoint
from tests.mutants.toy import Toy
from tests.mutants.verdicts import Verdict

from memmie_harness.conformance.peers import KEY, Frame, Head
from memmie_harness.conformance.peers.certificate import Certificate
from memmie_harness.conformance.profile import Setup
from memmie_harness.conformance.stack import Stack

# Keepalive.


@joint_mutant("keepalive/pings-client", "keepalive/dead-backend")
class NeverPings(Joint):
    async def keep_alive(self, side: int) -> None:
        del side


@joint_mutant("keepalive/dead-client", "keepalive/dead-backend")
class KeepsTheDead(Joint):
    def dead(self, side: int) -> None:
        del side


@joint_mutant("keepalive/idle")
class KeepsTheIdle(Joint):
    async def end_if_idle(self) -> None:
        pass


@joint_mutant("keepalive/idle-counts-messages-up", "keepalive/idle-counts-messages-down")
class CountsIdleTimeFromTheStart(Joint):
    async def forward(self, side: int, frame: Frame) -> None:
        begun = self._last_message
        await super().forward(side, frame)
        self._last_message = begun


@joint_mutant("keepalive/idle")
class EndsTheIdleTooEarly(Joint):
    async def end_if_idle(self) -> None:
        self.times = self.times._replace(idle=self.times.idle / 10)
        await super().end_if_idle()


@mutant("handshake/backend-key-fresh")
class SendsOneKeyToAllBackends(Toy):
    def with_key(self, head: Head) -> Head:
        fields = [(name, KEY if name == "sec-websocket-key" else value) for name, value in head.fields]
        return replace(head, fields=tuple(fields))

    def backend_request(self, host: str, head: Head, user: str, token: str) -> bytes:
        return super().backend_request(host, self.with_key(head), user, token)

    def accepts(self, head: Head, answer: Head, status: int) -> bool:
        return super().accepts(self.with_key(head), answer, status)


@joint_mutant("closes/fin-is-answered-up", "closes/fin-is-answered-down")
class DoesNotAnswerWhoHasSentFin(Joint):
    def close(self, to: int, payload: bytes) -> None:
        if self.readers[to].at_eof():
            self.writers[to].transport.abort()
        super().close(to, payload)


# Origins.


@mutant("refusals/origin-other-host", "refusals/origin-null")
class IgnoresTheOrigin(Toy):
    def check_origin(self, head: Head) -> None:
        del head


# Several backends.


@mutant("balancing/sticky", "balancing/sticky-after-all-left", "operation/restart-same-backend")
class SplitsUsers(Toy):
    def home(self, user: str) -> int:
        del user
        return secrets.randbelow(len(self.studios))


@mutant("operation/restart-same-backend")
class ForgetsHomesAtARestart(Toy):
    def __init__(self, setup: Setup, stack: Stack) -> None:
        super().__init__(setup, stack)
        self.salt = secrets.token_bytes(8)

    def home(self, user: str) -> int:
        return zlib.crc32(self.salt + user.encode()) % len(self.studios)


@mutant("balancing/failover", "balancing/one-bad-backend", "http/backend-down")
class TriesOneBackend(Toy):
    def choose(self, user: str) -> list[SplitResult]:
        return super().choose(user)[:1]


@mutant("balancing/spread")
class UsesOneBackend(Toy):
    def home(self, user: str) -> int:
        del user
        return 0


@mutant("balancing/ejection")
class NeverEjects(Toy):
    def broke(self, port: int, user: str) -> None:
        del port, user


@mutant("balancing/ejection-one-user")
class EjectsForOneUser(Toy):
    def broke(self, port: int, user: str) -> None:
        super().broke(port, f"{user} {len(self.broken[port])}")


@mutant("balancing/one-bad-backend")
class HasOneBreakerForAllBackends(Toy):
    failures = 0

    async def try_one(self, studio: SplitResult, head: Head, user: str, token: str) -> Backend:
        if self.failures >= 5 and self.offers.get("failover"):
            raise RefusedError(503)
        try:
            return await super().try_one(studio, head, user, token)
        except RefusedError as refusal:
            self.failures += refusal.status >= 500
            raise


# Stop and restart.


@mutant("operation/drain", "operation/restart")
class StopsWithoutAClose(Toy):
    def drain(self) -> None:
        for joint in self.leases:
            for writer in joint.writers:
                writer.transport.abort()


@mutant("operation/drain-refuses")
class TakesClientsWhileItDrains(Toy):
    async def stop(self) -> None:
        listening, self._servers = self._servers, []
        await super().stop()
        for server in listening:
            server.close()


@mutant("operation/restart-rolling")
class StopsEveryProcess(Toy):
    """Ends the connections of the next process, too, as a stop script does that stops by name."""

    def drain(self) -> None:
        super().drain()
        if isinstance(self.stack.gateway, StopsEveryProcess) and self.stack.gateway is not self:
            self.stack.gateway.drain()


# Tokens that come late.


@mutant("first-message/not-forwarded", "first-message/behind-handshake")
class ForwardsTheTokenInTheFirstMessage(Toy):
    async def dial(self, head: Head, user: str, token: str, writer: asyncio.StreamWriter | None) -> Backend:
        reader, backend, answer = await super().dial(head, user, token, writer)
        if writer is None:
            backend.write(b"\x81\xfe" + len(token).to_bytes(2, "big") + bytes(4) + token.encode())
        return reader, backend, answer


@mutant("first-message/late")
class WaitsForTheTokenForEver(Toy):
    def seconds(self, offer: str) -> float:
        seconds = super().seconds(offer)
        return 3600 if offer == "first_message_seconds" and seconds else seconds


@mutant("first-message/behind-handshake", "first-message/not-forwarded")
class LosesWhatFollowsTheToken(Toy):
    async def connect(
        self,
        head: Head,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        token: str,
        *,
        answered: bool = False,
    ) -> None:
        if answered:
            client[0]._buffer.clear()  # type: ignore[attr-defined] # what came together with the token
        await super().connect(head, client, token, answered=answered)


@mutant("first-message/bad-token")
class LetsEveryFirstMessageIn(Toy):
    async def verdict(self, token: str) -> Verdict:
        verdict = await super().verdict(token)
        late = self.seconds("first_message_seconds")
        return Verdict(200, "anybody", token=token) if late and verdict.status == 401 else verdict


@mutant("renewal/other-user")
class MovesConnectionsOfAnybody(Toy):
    def may_move(self, lease: Lease, old: str, new: Verdict) -> bool:
        del new
        return lease.verdict.token == old


@mutant("renewal/lives-on", "renewal/ends-with-new")
class OnlySaysThatItMoves(Toy):
    def begin(self, joint: Joint, verdict: Verdict) -> None:
        if joint not in self.leases:
            super().begin(joint, verdict)


@mutant("renewal/all")
class MovesEveryConnectionOfTheUser(Toy):
    def may_move(self, lease: Lease, old: str, new: Verdict) -> bool:
        del old
        return lease.verdict.user == new.user


@mutant("renewal/old-not-asked")
class AsksAboutTheOldToken(Toy):
    async def renew(self, head: Head, reader: asyncio.StreamReader) -> None:
        size = int(head.get("content-length") or "0")
        body = await reader.readexactly(size)
        await self.ask(body.decode().split('"')[3])
        reader.feed_data(body)
        await super().renew(head, reader)


# TLS.


@mutant("tls/old-version-1-0", "tls/old-version-1-1")
class TakesOldVersionsOfTls(Toy):
    def tls_context(self) -> ssl.SSLContext:
        context = super().tls_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        return context


@mutant("tls/certificate", "tls/exchange")
class ShowsAnotherCertificate(Toy):
    def tls_context(self) -> ssl.SSLContext:
        Certificate().write(self.stack.tls_certificate_file, self.stack.tls_key_file)
        return super().tls_context()


@mutant("tls/forwarded-proto")
class SaysHttpForHttps(Toy):
    def forwarded(self, head: Head) -> list[str]:
        return [line.replace(": https", ": http") for line in super().forwarded(head)]


@mutant("tls/plain-http")
class TakesPlainHttpOnThePortOfTls(Toy):
    async def start(self) -> None:
        await super().start()
        if self.offers.get("tls"):
            self._servers.pop().close()
            self._servers.append(await asyncio.start_server(self._serve, "127.0.0.1", self.stack.tls_port))


# Socket.IO.


@socket_mutant("socketio/ack")
class SwallowsAcknowledgements(SocketJoint):
    def send_event(self, number: str, name: str, data: list[object]) -> None:
        del number
        super().send_event("", name, data)


@socket_mutant("socketio/ids-of-two-clients")
class HasTheSameIdsForAll(SocketJoint):
    def message_id(self, number: str) -> str:
        self.prefix = "id"
        return super().message_id(number)


@socket_mutant("socketio/heartbeat", "socketio/no-pong")
class NeverPingsSocketIo(SocketJoint):
    async def heartbeat(self) -> None:
        pass


@socket_mutant("socketio/no-pong")
class KeepsTheDeadOfSocketIo(SocketJoint):
    def dead(self, side: int) -> None:
        del side


@socket_mutant("socketio/backend-leaves-for-good")
class CallsEverybodyBack(SocketJoint):
    def stays_away(self, code: int) -> bool:
        del code
        return False


@socket_mutant("socketio/backend-restarts")
class SendsEverybodyAway(SocketJoint):
    def stays_away(self, code: int) -> bool:
        del code
        return True


@socket_mutant("socketio/binary-event", "socketio/other-namespace")
class ForwardsEveryPacket(SocketJoint):
    def hear(self, text: str) -> None:
        if text.startswith(("40/", "45")):
            self.send_event("", text, [])
        else:
            super().hear(text)


@socket_mutant("socketio/order")
class ReordersEvents(SocketJoint):
    kept: list[str] | None = None

    def tell(self, text: str) -> None:
        if '"data": 50' in text and self.kept is None:
            self.kept = [text]
            return
        super().tell(text)
        if self.kept:
            super().tell(self.kept.pop())


@mutant("socketio/no-token", "socketio/bad-token")
class RefusesSocketIoWithoutAnError(Toy):
    async def welcome(self, token: str) -> Verdict:
        try:
            return await super().welcome(token)
        except RefusedError as refusal:
            if not self.offers.get("socketio_path"):
                raise
            raise EOFError from refusal


@mutant("socketio/old-version")
class TakesEveryVersionOfEngineIo(Toy):
    async def socket_io(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_line = head.first_line.replace("EIO=3", "EIO=4")
        await super().socket_io(Head(first_line, head.fields, head.body, head.names), reader, writer)


@mutant("socketio/connect")
class ConnectsSocketIoBeforeTheBackend(Toy):
    async def connect_socket(
        self, head: Head, client: tuple[asyncio.StreamReader, asyncio.StreamWriter], token: str
    ) -> None:
        client[1].write(SocketJoint.WELCOME)
        await super().connect_socket(head, client, token)


# Operation.


@mutant("operation/metric-connections", "operation/metric-messages")
class HasEmptyMetrics(Toy):
    def metrics(self) -> bytes:
        return b"toy_connections 0\ntoy_messages_total 0\n"


@mutant("operation/metrics-format")
class AnswersMetricsInHtml(Toy):
    def metrics(self) -> bytes:
        return b"<html>\n"
