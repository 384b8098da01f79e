"""Gateways that are wrong in one way in HTTP beside WebSocket."""

from __future__ import annotations

import asyncio
import random
import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode

from tests.mutants.answers import RefusedError, without
from tests.mutants.http_bodies import Streams, chunk, parts
from tests.mutants.registry import mutant
from tests.mutants.toy import Toy
from tests.mutants.verdicts import Verdict

from memmie_harness.conformance.peers import Head


def lines_of(head: Head, pattern: str) -> list[str]:
    """Return the lines of the fields with such a name."""
    fields = zip(head.names, head.fields, strict=True)
    return [f"{name}: {value}" for name, (key, value) in fields if re.fullmatch(pattern, key)]


# Which requests are forwarded.


@mutant("http/methods", "http/head")
class ForwardsGetOnly(Toy):
    def check_http(self, head: Head, path: str) -> None:
        if not head.first_line.startswith("GET "):
            raise RefusedError(405, "Allow: GET, POST")
        super().check_http(head, path)


@mutant("http/method-refused")
class ForwardsEveryMethod(Toy):
    def check_http(self, head: Head, path: str) -> None:
        super().check_http(
            Head(head.first_line.replace("TRACE", "GET"), head.fields, head.body, head.names), path
        )


@mutant("http/upgrade")
class ForwardsUpgrades(Toy):
    def check_http(self, head: Head, path: str) -> None:
        super().check_http(without(head, "upgrade"), path)


@mutant("http/not-below")
class ComparesTheFirstLettersOfAPath(Toy):
    def is_below(self, path: str, offer: str) -> bool:
        return path.startswith(str(self.offers[offer]))


@mutant("http/no-token", "http/bad-token", "http/auth-away")
class JudgesNoRequest(Toy):
    async def judge(self, head: Head) -> Verdict:
        del head
        return Verdict(200, "anybody", token="a token")


@mutant("http/no-token", "http/bad-token")
class RefusesWithoutAChallenge(Toy):
    async def judge(self, head: Head) -> Verdict:
        try:
            return await super().judge(head)
        except RefusedError as refusal:
            raise RefusedError(refusal.status) from None


@mutant("http/auth-route")
class BelievesClientsBeforeAuth(Toy):
    def http_fields(self, head: Head, verdict: Verdict | None) -> list[str]:
        return [
            *super().http_fields(head, verdict),
            *(lines_of(head, "x-user-id") if verdict is None else []),
        ]


@mutant("http/auth-validate")
class LetsClientsAskAuth(Toy):
    def at_auth(self, path: str) -> str:
        return path.replace("/auth/", "/api/v1/auth/", 1)


@mutant("http/same-backend")
class SpreadsRequests(Toy):
    async def reach(self, services: list[SplitResult]) -> tuple[Streams, str]:
        return await super().reach(random.sample(services, len(services)))


@mutant("http/dots", "http/dots-encoded", "http/slashes")
class ForwardsEveryPath(Toy):
    def check_path(self, path: str) -> None:
        del path


@mutant("http/dots-encoded", "http/slashes")
class LooksAtPlainPathsOnly(Toy):
    def check_path(self, path: str) -> None:
        super().check_path(path.replace("%", ""))


@mutant("http/two-lengths", "http/length-and-chunks", "http/other-coding")
class GuessesWhereABodyEnds(Toy):
    def check_framing(self, head: Head) -> None:
        del head


# What is forwarded.


@mutant("http/path-bytes")
class DecodesPaths(Toy):
    def http_request(
        self, host: str, head: Head, target: str, verdict: Verdict | None, lines: list[str]
    ) -> bytes:
        return super().http_request(host, head, unquote(target, "latin-1"), verdict, lines)


@mutant("http/query-empty")
class DropsTheMarkOfAnEmptyQuery(Toy):
    def http_request(
        self, host: str, head: Head, target: str, verdict: Verdict | None, lines: list[str]
    ) -> bytes:
        return super().http_request(host, head, target, verdict, lines).replace(b"? HTTP", b" HTTP", 1)


@mutant("http/query-bytes")
class WritesQueriesOfHttpAnew(Toy):
    def http_request(
        self, host: str, head: Head, target: str, verdict: Verdict | None, lines: list[str]
    ) -> bytes:
        method, where, version = head.first_line.split(" ")
        path, mark, query = where.partition("?")
        line = f"{method} {path}{mark}{urlencode(parse_qsl(query))} {version}"
        return super().http_request(host, Head(line, head.fields, b"", head.names), target, verdict, lines)


@mutant("http/token-hidden", "http/user-fields")
class ForwardsTheWholeQuery(Toy):
    def is_dropped(self, field: str, token: str) -> bool:
        del field, token
        return False


@mutant("http/user", "http/forwarded", "http/request-id")
class BelievesClients(Toy):
    def http_fields(self, head: Head, verdict: Verdict | None) -> list[str]:
        given = lines_of(head, "x[-_](user|request|forwarded|real)[-_].*|forwarded")
        return [*given, *super().http_fields(head, verdict)]


@mutant("http/hop-by-hop-up")
class ForwardsFieldsForOneConnection(Toy):
    def http_fields(self, head: Head, verdict: Verdict | None) -> list[str]:
        return [
            *super().http_fields(head, verdict),
            *lines_of(head, "x-named|keep-alive|te|proxy-connection"),
        ]


@mutant("http/hop-by-hop-down", "http/cors-of-the-backend")
class PassesEveryFieldOfAnAnswer(Toy):
    def http_answer(self, head: Head, answer: Head, request_id: str, *, chunked: bool) -> bytes:
        right = super().http_answer(head, answer, request_id, chunked=chunked)
        more = lines_of(answer, "x-named|keep-alive|proxy-connection|access-control-.*")
        return right[:-2] + "".join(f"{line}\r\n" for line in more).encode() + b"\r\n"


@mutant("http/get")
class KeepsFieldsOfAnswersInADictionary(Toy):
    def http_answer(self, head: Head, answer: Head, request_id: str, *, chunked: bool) -> bytes:
        fields = dict(answer.fields)
        kept = Head(answer.first_line, tuple(fields.items()), b"", tuple(fields))
        return super().http_answer(head, kept, request_id, chunked=chunked)


@mutant("http/encoded-body")
class SaysThatNothingIsCompressed(Toy):
    def http_answer(self, head: Head, answer: Head, request_id: str, *, chunked: bool) -> bytes:
        return super().http_answer(head, without(answer, "content-encoding"), request_id, chunked=chunked)


@mutant("http/statuses")
class HidesErrorsOfTheBackend(Toy):
    def checked_answer(self, answer: Head) -> Head:
        if answer.status >= 500:
            raise ValueError(answer.status)
        return super().checked_answer(answer)


# Bodies.


@mutant("http/upload-streamed")
class KeepsRequestsUntilTheirEnd(Toy):
    async def upload(self, head: Head, client: Streams, service: asyncio.StreamWriter) -> None:
        body = b"".join([data async for data in parts(client[0], head)])
        whole = asyncio.StreamReader()
        if body:
            whole.feed_data(chunk(body) if head.get("transfer-encoding") else body)
        whole.feed_data(chunk(b"") if head.get("transfer-encoding") else b"")
        await super().upload(head, (whole, client[1]), service)


@mutant("http/answer-in-chunks", "http/answer-with-length", "http/answer-of-unknown-length")
class KeepsAnswersUntilTheirEnd(Toy):
    async def download(
        self, head: Head, request_id: str, client: Streams, service: asyncio.StreamReader
    ) -> None:
        whole = asyncio.StreamReader()
        while data := await service.read(1 << 16):
            whole.feed_data(data)
        whole.feed_eof()
        await super().download(head, request_id, client, whole)


@mutant("http/cut-chunks", "http/cut-length")
class CompletesWhatIsCut(Toy):
    async def download(
        self, head: Head, request_id: str, client: Streams, service: asyncio.StreamReader
    ) -> None:
        whole = asyncio.StreamReader()
        whole.feed_data(re.sub(rb"Content-Length: \d+\r\n", b"", await service.readuntil(b"\r\n\r\n")))
        while data := await service.read(1 << 16):
            whole.feed_data(data)
        if b"Transfer-Encoding: chunked" in bytes(whole._buffer):  # type: ignore[attr-defined] # its head is there
            whole.feed_data(chunk(b""))
        whole.feed_eof()
        await super().download(head, request_id, client, whole)


@mutant("http/continue")
class NeverSaysContinue(Toy):
    async def upload(self, head: Head, client: Streams, service: asyncio.StreamWriter) -> None:
        await super().upload(without(head, "expect"), client, service)


@mutant("http/upload-held")
class KeepsAnyAmountOfARequest(Toy):
    async def upload(self, head: Head, client: Streams, service: asyncio.StreamWriter) -> None:
        service.transport.set_write_buffer_limits(high=1 << 40)
        await super().upload(head, client, service)


@mutant("http/answer-held")
class KeepsAnyAmountOfAnAnswer(Toy):
    async def download(
        self, head: Head, request_id: str, client: Streams, service: asyncio.StreamReader
    ) -> None:
        client[1].transport.set_write_buffer_limits(high=1 << 40)
        await super().download(head, request_id, client, service)


@mutant("http/client-leaves", "http/client-leaves-late")
class GoesOnForClientsThatHaveLeft(Toy):
    async def upload(self, head: Head, client: Streams, service: asyncio.StreamWriter) -> None:
        await super().upload(head, client, service)
        await asyncio.get_running_loop().create_future()


@mutant("http/sent-once-post", "http/sent-once-get")
class SendsRequestsAgain(Toy):
    async def exchange(
        self, head: Head, target: str, client: Streams, verdict: Verdict | None, services: list[SplitResult]
    ) -> None:
        try:
            await super().exchange(head, target, client, verdict, services)
        except RefusedError as refusal:
            if refusal.status != 502:
                raise
            await super().exchange(without(head, "content-length"), target, client, verdict, services)


# Pages.


@mutant("http/any-origin", "http/any-null")
class NamesEveryOriginWithCredentials(Toy):
    def page_lines(self, head: Head) -> list[str]:
        origin = head.get("origin")
        lines = [
            f"Access-Control-Allow-Origin: {origin}",
            "Access-Control-Allow-Credentials: true",
            "Vary: Origin",
        ]
        return lines if origin else []


@mutant("http/listed-origin")
class SaysTheSameToEveryPage(Toy):
    def page_lines(self, head: Head) -> list[str]:
        return ["Access-Control-Allow-Origin: *"] if head.get("origin") else []


@mutant("http/any-origin", "http/any-null", "http/listed-origin")
class WantsATokenInAPreflight(Toy):
    def answer_preflight(self, head: Head) -> None:
        del head


@mutant("http/other-origin", "http/null-origin")
class AllowsEveryPage(Toy):
    def check_page(self, head: Head) -> None:
        del head


# Limits, times and faults.


@mutant("http/body-above-limit", "http/chunks-above-limit")
class TakesBodiesOfAnySize(Toy):
    async def http(self, head: Head, path: str, client: Streams) -> None:
        self.offers = {**self.offers, "http_body_bytes": 1 << 40}
        await super().http(head, path, client)


@mutant("http/body-at-limit")
class RefusesTheLargestBody(Toy):
    async def http(self, head: Head, path: str, client: Streams) -> None:
        if head.get("content-length") == str(self.offers.get("http_body_bytes")):
            raise RefusedError(413)
        await super().http(head, path, client)


@mutant("http/body-late", "http/answer-late")
class WaitsForEver(Toy):
    def seconds(self, offer: str) -> float:
        return 0.0 if offer in {"http_body_seconds", "http_idle_seconds"} else super().seconds(offer)


@mutant("http/events")
class EndsSilentStreamsOfEvents(Toy):
    def checked_answer(self, answer: Head) -> Head:
        fields = [(name, f"{value}; x" if name == "content-type" else value) for name, value in answer.fields]
        return super().checked_answer(Head(answer.first_line, tuple(fields), b"", answer.names))


@mutant("http/burst")
class CountsNoRequests(Toy):
    def take(self, user: str) -> None:
        del user


@mutant("http/burst")
class CountsTheRequestsOfAllUsersTogether(Toy):
    def take(self, user: str) -> None:
        super().take(user)
        if self.offers.get("http_burst_per_user") and self.bursts.total() > int(
            self.offers["http_burst_per_user"]
        ):
            raise RefusedError(429, "Retry-After: 1")


@mutant("http/backend-garbage", "http/backend-cut-head", "http/sent-once-get")
class BlamesItselfForTheBackend(Toy):
    async def download(
        self, head: Head, request_id: str, client: Streams, service: asyncio.StreamReader
    ) -> None:
        try:
            await super().download(head, request_id, client, service)
        except RefusedError as refusal:
            raise RefusedError(500 if refusal.status == 502 else refusal.status) from None


@mutant("http/backend-two-lengths")
class TakesTheFirstLength(Toy):
    def checked_answer(self, answer: Head) -> Head:
        fields = dict(answer.fields)
        return super().checked_answer(Head(answer.first_line, tuple(fields.items()), b"", tuple(fields)))


@mutant("http/live", "http/live-token-end")
class CountsNoAnswers(Toy):
    async def live(self, verdict: Verdict | None, down: asyncio.Task[None]) -> None:
        del verdict, down
