"""The part of the toy gateway that forwards HTTP requests beside WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote

from tests.mutants.answers import READ_AHEAD, PlainAnswer, RefusedError, closed, plain, tokens, without
from tests.mutants.backends import Backends
from tests.mutants.http_bodies import Streams, chunk, parts
from tests.mutants.late_tokens import Leases
from tests.mutants.rewriting import DROPPED
from tests.mutants.verdicts import Verdict

from memmie_harness.conformance.offers import OfferValue
from memmie_harness.conformance.peers import Head, parse_head

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
VALIDATE = "/api/v1/auth/validate"
CHALLENGE = "WWW-Authenticate: Bearer"
NO_TOKEN = "\0"
"""Stands for the token of a request without one."""


class HttpSide(Leases, Backends):
    """Forwards HTTP requests."""

    offers: Mapping[str, OfferValue]
    bursts: Counter[str]

    def seconds(self, offer: str) -> float:
        """Return a time of the setup; 0 if it is not offered."""
        return float(self.offers.get(offer, 0))

    def admit(self, user: str) -> None:
        """Take a place for one more connection of a user."""
        raise NotImplementedError

    def release(self, user: str) -> None:
        """Give the place back."""
        raise NotImplementedError

    # Which requests are forwarded.

    def is_below(self, path: str, offer: str) -> bool:
        """Tell whether a path is below that of a route."""
        prefix = str(self.offers.get(offer, "")).rstrip("/")
        return bool(prefix) and path.startswith(f"{prefix}/")

    def is_http(self, path: str) -> bool:
        """Tell whether a path is forwarded over HTTP."""
        return self.is_below(path, "http_path") or self.is_below(path, "http_auth_path")

    def check_http(self, head: Head, path: str) -> None:
        """Raise `RefusedError` for a request that is not forwarded."""
        if head.get("upgrade"):
            raise RefusedError(426)
        if head.first_line.partition(" ")[0] not in METHODS:
            raise RefusedError(405, f"Allow: {', '.join(METHODS)}")
        self.check_framing(head)
        self.check_path(path)

    def check_framing(self, head: Head) -> None:
        """Raise `RefusedError` if it is not clear where the body ends (RFC 9112 §6.3)."""
        lengths = [value for name, value in head.fields if name == "content-length"]
        coding = head.get("transfer-encoding").lower()
        if len(lengths) > 1 or (lengths and coding) or coding not in {"", "chunked"}:
            raise RefusedError(400)

    def check_path(self, path: str) -> None:
        """Raise `RefusedError` for a path that a server may read as another one."""
        for _ in range(3):
            names = [segment.partition(";")[0] for segment in path.split("/")]
            if "//" in path or "\\" in path or "." in names or ".." in names:
                raise RefusedError(400)
            path = unquote(path)

    def at_auth(self, path: str) -> str:
        """Return the path at Auth; raise `RefusedError` for the question of the gateway."""
        below = "/api/v1/auth/" + path.removeprefix(str(self.offers["http_auth_path"]).rstrip("/") + "/")
        if unquote(unquote(below)).partition(";")[0].rstrip("/").lower() == VALIDATE:
            raise RefusedError(404)
        return below

    # Pages.

    def check_page(self, head: Head) -> None:
        """Raise `RefusedError` for a page of an origin that is not allowed."""
        if head.get("origin") and self.offers.get("http_origin", head.get("origin")) != head.get("origin"):
            raise RefusedError(403)

    def page_lines(self, head: Head) -> list[str]:
        """Return what an answer says about pages."""
        if not head.get("origin"):
            return []
        if self.offers.get("http_any_origin"):
            return ["Access-Control-Allow-Origin: *"]
        allowed = head.get("origin")
        return [
            f"Access-Control-Allow-Origin: {allowed}",
            "Access-Control-Allow-Credentials: true",
            "Vary: Origin",
        ]

    def answer_preflight(self, head: Head) -> None:
        """Raise `PlainAnswer` for the question of a browser."""
        if head.first_line.startswith("OPTIONS ") and head.get("access-control-request-method"):
            lines = [
                f"Access-Control-Allow-Methods: {', '.join(METHODS)}",
                "Access-Control-Allow-Headers: authorization, content-type",
            ]
            raise PlainAnswer(plain(204, b"", *self.page_lines(head), *lines))

    # One request.

    async def http(self, head: Head, path: str, client: Streams) -> None:
        """Serve a request."""
        self.check_http(head, path)
        self.check_page(head)
        self.answer_preflight(head)
        if self.is_below(path, "http_auth_path"):
            target, verdict, services = self.at_auth(path), None, [self.auth]
        else:
            target, verdict = path, await self.judge(head)
            self.take(verdict.user)
            services = self.choose(verdict.user)
        most = int(self.offers.get("http_body_bytes", 0))
        if most and int(head.get("content-length") or 0) > most:
            raise RefusedError(413)
        await self.exchange(head, target, client, verdict, services)

    async def judge(self, head: Head) -> Verdict:
        """Return the user of a request."""
        token = self.find_token(head)
        if not token:
            raise RefusedError(401, CHALLENGE)
        verdict = await self.verdict(token)
        if verdict.status != 200:
            raise RefusedError(verdict.status, CHALLENGE)
        return verdict

    def take(self, user: str) -> None:
        """Count a request of a user."""
        self.bursts[user] += 1
        if self.bursts[user] > int(self.offers.get("http_burst_per_user", 1 << 30)):
            raise RefusedError(429, "Retry-After: 1")

    async def reach(self, services: list[SplitResult]) -> tuple[Streams, str]:
        """Connect to the first service that accepts a connection."""
        for service in services:
            with contextlib.suppress(OSError):
                streams = await asyncio.open_connection(service.hostname, service.port, limit=READ_AHEAD)
                return streams, service.netloc
        raise RefusedError(503)

    async def exchange(
        self, head: Head, target: str, client: Streams, verdict: Verdict | None, services: list[SplitResult]
    ) -> None:
        """Send a request to a service, and pass its answer on; both bodies are streamed."""
        service, host = await self.reach(services)
        lines = self.http_fields(head, verdict)
        request_id = next(line for line in lines if line.startswith("X-Request-ID: "))
        service[1].write(self.http_request(host, head, target, verdict, lines))
        up = asyncio.create_task(self.upload(head, client, service[1]))
        down = asyncio.create_task(self.download(head, request_id, client, service[0]))
        live = asyncio.create_task(self.live(verdict, down))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if not down.done():
                up.result()  # its error is raised; without one, the client has left
                return
            await down
        finally:
            service[1].close()
            for task in (up, down, live):
                task.cancel()
            await asyncio.gather(up, down, live, return_exceptions=True)
            await closed(service[1])

    def http_fields(self, head: Head, verdict: Verdict | None) -> list[str]:
        """Return the header lines for the service, without those about the body."""
        own = without(head, "x-request-id", "sec-websocket-protocol")
        if verdict is not None:
            return self.fields(own, verdict.user, verdict.token)
        given = [f"Authorization: {value}" for name, value in head.fields if name == "authorization"]
        return [*self.fields(own, "", NO_TOKEN)[1:], *given]

    def http_request(
        self, host: str, head: Head, target: str, verdict: Verdict | None, lines: list[str]
    ) -> bytes:
        """Return the head of the request to the service."""
        query = self.query(head, verdict.token if verdict is not None else NO_TOKEN)
        mark = "?" if query or head.target.endswith("?") else ""
        framing = [
            f"{name}: {value}"
            for name, value in head.fields
            if name in {"content-length", "transfer-encoding"}
        ]
        method = head.first_line.partition(" ")[0]
        request = [
            f"{method} {target}{mark}{query} HTTP/1.1",
            f"Host: {host}",
            "Connection: close",
            *lines,
            *framing,
        ]
        return "\r\n".join([*request, "", ""]).encode("latin-1")

    # The bodies.

    async def upload(self, head: Head, client: Streams, service: asyncio.StreamWriter) -> None:
        """Send the body of a request, then wait until the client leaves."""
        if head.get("expect"):
            client[1].write(b"HTTP/1.1 100 Continue\r\n\r\n")
        most, size = int(self.offers.get("http_body_bytes", 1 << 40)), 0
        chunked = bool(head.get("transfer-encoding"))
        try:
            async with asyncio.timeout(self.seconds("http_body_seconds") or None):
                async for data in parts(client[0], head):
                    size += len(data)
                    if size > most:
                        raise RefusedError(413)
                    service.write(chunk(data) if chunked else data)
                    await service.drain()
        except TimeoutError:
            raise RefusedError(408) from None
        if chunked:
            service.write(chunk(b""))
        with contextlib.suppress(OSError):
            await client[0].read(1)

    async def download(
        self, head: Head, request_id: str, client: Streams, service: asyncio.StreamReader
    ) -> None:
        """Pass the answer on."""
        idle = self.seconds("http_idle_seconds") or None
        try:
            async with asyncio.timeout(idle):
                answer = self.checked_answer(parse_head(await service.readuntil(b"\r\n\r\n")))
        except TimeoutError:
            raise RefusedError(504) from None
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
            raise RefusedError(502) from None
        has_body = answer.has_body and not head.first_line.startswith("HEAD ")
        length = answer.get("content-length")
        client[1].write(self.http_answer(head, answer, request_id, chunked=has_body and not length))
        if not has_body:
            return
        stream = parts(service, answer)
        if answer.get("content-type") == "text/event-stream":
            idle = None
        while True:
            try:
                async with asyncio.timeout(idle):
                    data = await anext(stream, b"")
            except TimeoutError:
                raise ConnectionError from None
            if not data:
                break
            client[1].write(data if length else chunk(data))
            await client[1].drain()
        if not length:
            client[1].write(chunk(b""))

    def checked_answer(self, answer: Head) -> Head:
        """Return an answer; raise `ValueError` if it is invalid."""
        lengths = [value for name, value in answer.fields if name == "content-length"]
        if not answer.first_line.startswith("HTTP/1.1 ") or len(lengths) > 1:
            raise ValueError(answer.first_line)
        return answer

    def http_answer(self, head: Head, answer: Head, request_id: str, *, chunked: bool) -> bytes:
        """Return the head of the answer for the client."""
        named = {*tokens(answer.get("connection")), *DROPPED} - {"content-length"}
        kept = [
            f"{name}: {value}"
            for name, (key, value) in zip(answer.names, answer.fields, strict=True)
            if key not in named and not key.startswith("access-control-")
        ]
        coding = ["Transfer-Encoding: chunked"] if chunked else []
        lines = [
            answer.first_line,
            *kept,
            *coding,
            request_id,
            "Connection: close",
            *self.page_lines(head),
            "",
            "",
        ]
        return "\r\n".join(lines).encode("latin-1")

    # Answers that are long under way.

    async def live(self, verdict: Verdict | None, down: asyncio.Task[None]) -> None:
        """Take a place for an answer that is long under way, and cut it when its token ends."""
        seconds = self.seconds("http_live_seconds")
        if not seconds or verdict is None:
            return
        await asyncio.sleep(seconds)
        try:
            self.admit(verdict.user)
        except RefusedError:
            down.cancel()
            return
        try:
            await asyncio.sleep(3600 if verdict.expires is None else max(0, verdict.expires - time.time()))
            down.cancel()
        finally:
            self.release(verdict.user)
