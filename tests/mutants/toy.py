"""A small and correct gateway in this process, on which the mutants are built: each overrides one of its methods.

It offers what most conformance tests need, and has no limits, no health checks and no metrics beyond that.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import re
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit

from tests.mutants.joint import Joint

from memmie_harness.conformance.peers import Head, accept_for, accepting_answer, parse_head
from memmie_harness.conformance.profile import Setup
from memmie_harness.conformance.stack import Stack

READ_AHEAD = 1 << 17
CACHE_SECONDS = 60.0
REFUSAL_SECONDS = 1.0
MAX_OF_USER = 5
MAX_TOKEN = 4096

DROPPED = {
    "host", "connection", "upgrade", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "content-length", "expect", "authorization", "origin", "x-user-id", "x-real-ip", "forwarded",
    "x-original-url", "x-request-id", "sec-websocket-protocol",
}  # fmt: skip
"""Fields of the client that the backend does not get as they are."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Auth says: 200 and a user, or the status for the client."""

    status: int
    user: str = ""
    expires: float | None = None


class RefusedError(Exception):
    """A client is refused."""

    def __init__(self, status: int, *lines: str) -> None:
        super().__init__(status)
        self.status = status
        self.lines = lines


class Toy:
    """The gateway; it is made as `runner.run` makes gateways."""

    def __init__(self, setup: Setup, stack: Stack) -> None:
        del setup
        self.auth = urlsplit(stack.auth.url)
        self.studios = [urlsplit(studio.url) for studio in stack.studios]
        self.url = ""
        self.lines: list[str] = []
        self.connections: Counter[str] = Counter()
        self.messages = 0
        self._verdicts: dict[str, tuple[float, Verdict]] = {}
        self._asking: dict[str, asyncio.Task[Verdict]] = {}
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    # What the kit needs.

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=READ_AHEAD)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def log_tail(self, lines: int = 50) -> str:
        return "\n".join(self.lines[-lines:])

    def log(self, line: str) -> None:
        self.lines.append(line)

    # A request.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._tasks.discard(task)
            await closed(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                raw = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                raise RefusedError(431) from None
            while raw.startswith(b"\r\n"):
                raw = raw[2:] or await reader.readuntil(b"\r\n\r\n")
            self.check_lines(raw)
            head = parse_head(raw)
            self.check_request(head)
            await self.upgrade(head, reader, writer)
        except RefusedError as refusal:
            self.log(f"refused {refusal.status}")
            writer.write(refusal_answer(refusal))
            await writer.drain()
        except _PlainAnswer as answer:
            writer.write(answer.data)
            await writer.drain()

    def check_lines(self, raw: bytes) -> None:
        """Raise `RefusedError` unless every line is a field (RFC 9112 §5)."""
        for line in raw[:-4].split(b"\r\n")[1:]:
            if not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00\r\n]*", line):
                raise RefusedError(400)

    def check_request(self, head: Head) -> None:
        """Raise `RefusedError` unless this is a handshake, or `_PlainAnswer` for another route."""
        method, target, version = (*head.first_line.split(" "), "", "")[:3]
        names = Counter(name for name, _ in head.fields)
        if version != "HTTP/1.1" or names["host"] != 1 or not re.fullmatch(r"[\w.:\[\]-]+", head.get("host")):
            raise RefusedError(400)
        path = re.sub(r"^http://[^/]*", "", target).partition("?")[0]
        if path == "/status":
            raise _PlainAnswer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        if path == "/metrics":
            raise _PlainAnswer(self._metrics())
        if path != "/ws":
            raise RefusedError(404)
        if "transfer-encoding" in names or names["content-length"]:
            raise RefusedError(400)
        if method != "GET":
            raise RefusedError(400)
        if "websocket" not in _tokens(head.get("upgrade")) or "upgrade" not in _tokens(
            head.get("connection")
        ):
            raise RefusedError(426, "Upgrade: websocket")
        if head.get("sec-websocket-version") != "13":
            raise RefusedError(426, "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        try:
            key = base64.b64decode(head.get("sec-websocket-key"), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 16 or names["sec-websocket-key"] != 1:
            raise RefusedError(400)

    def _metrics(self) -> bytes:
        body = (
            f"toy_connections {sum(self.connections.values())}\ntoy_messages_total {self.messages}\n".encode()
        )
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def upgrade(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client to a backend, and forward until both have closed."""
        token = self.find_token(head)
        if not token:
            raise RefusedError(401)
        if len(token) > MAX_TOKEN:
            raise RefusedError(401)
        verdict = await self.verdict(token)
        if verdict.status != 200:
            raise RefusedError(verdict.status)
        user = verdict.user
        self.admit(user)
        try:
            backend_reader, backend_writer, answer = await self.dial(head, user, token, writer)
            try:
                extensions = bool(answer.get("sec-websocket-extensions"))
                joint = self.joint(reader, writer, backend_reader, backend_writer, extensions=extensions)
                await self.serve_joint(joint, verdict)
            finally:
                await closed(backend_writer)
        finally:
            self.release(user)

    def joint(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        backend_reader: asyncio.StreamReader,
        backend_writer: asyncio.StreamWriter,
        *,
        extensions: bool,
    ) -> Joint:
        """Return what forwards between both sides."""
        return Joint((reader, writer), (backend_reader, backend_writer), self.count, extensions=extensions)

    async def serve_joint(self, joint: Joint, verdict: Verdict) -> None:
        """Forward until both sides have closed, or the token expires."""
        timer = None
        if verdict.expires is not None:
            delay = verdict.expires - time.time()
            timer = asyncio.get_running_loop().call_later(max(0, delay), joint.end, 4401)
        try:
            await joint.run()
        finally:
            if timer is not None:
                timer.cancel()

    def count(self) -> None:
        """Count a message."""
        self.messages += 1

    def admit(self, user: str) -> None:
        """Take a place for one more connection of a user."""
        if self.connections[user] >= MAX_OF_USER:
            raise RefusedError(429, "Retry-After: 1")
        self.connections[user] += 1

    def release(self, user: str) -> None:
        """Give the place back."""
        self.connections[user] -= 1

    # Tokens.

    def find_token(self, head: Head) -> str | None:
        """Return the token of a handshake (spec §1)."""
        values = [value for name, value in head.fields if name == "authorization"]
        if values:
            scheme, _, token = values[0].partition(" ")
            return token.strip() if scheme.lower() == "bearer" and " " not in token.strip() else None
        offered = [part.strip() for part in head.get("sec-websocket-protocol").split(",")]
        if len(offered) > 1 and offered[0] == "bearer":
            return offered[1]
        for field in head.target.partition("?")[2].split("&"):
            name, _, value = field.partition("=")
            if unquote_plus(name) == "token":
                return value
        return None

    async def verdict(self, token: str) -> Verdict:
        """Return what Auth says, or said a short time ago."""
        until, known = self._verdicts.get(token, (0.0, Verdict(500)))
        if time.monotonic() < until:
            return known
        task = self._asking.get(token)
        if task is None:
            task = self._asking[token] = asyncio.create_task(self.ask(token))
            task.add_done_callback(lambda _: self._asking.pop(token, None))
        verdict = await asyncio.shield(task)
        self._verdicts[token] = (time.monotonic() + self.cache_seconds(verdict), verdict)
        return verdict

    def cache_seconds(self, verdict: Verdict) -> float:
        """Return for how long an answer is used again."""
        return {200: CACHE_SECONDS, 401: REFUSAL_SECONDS}.get(verdict.status, 0.0)

    async def ask(self, token: str) -> Verdict:
        """Ask Auth about a token (spec §2)."""
        body = json.dumps({"token": token}).encode()
        request = (
            f"POST /api/v1/auth/validate HTTP/1.1\r\nHost: {self.auth.netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(self.auth.hostname, self.auth.port)
                try:
                    writer.write(request.encode() + body)
                    head = parse_head(await reader.readuntil(b"\r\n\r\n"))
                    answer = await reader.readexactly(int(head.get("content-length") or "0"))
                finally:
                    await closed(writer)
            return self.read_verdict(head.status, answer)
        except (OSError, EOFError, ValueError, IndexError, TimeoutError):
            return Verdict(503)

    def read_verdict(self, status: int, body: bytes) -> Verdict:
        """Return the meaning of an answer of Auth."""
        if status == 401:
            return Verdict(401)
        if status != 200:
            return Verdict(503)
        content = json.loads(body)
        if not isinstance(content, dict):
            return Verdict(503)
        if content.get("valid") is False:
            return Verdict(401)
        user = content.get("user_id")
        usable = isinstance(user, str) and user and not re.search(r"[\x00-\x1f\x7f]", user)
        if content.get("valid") is not True or not usable:
            return Verdict(502)
        return Verdict(200, str(user), content.get("expires"))

    # The backend.

    async def dial(
        self, head: Head, user: str, token: str, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Head]:
        """Connect to a backend, and answer the client as the backend answers."""
        studio = self.choose(user)
        try:
            reader, backend = await asyncio.open_connection(studio.hostname, studio.port, limit=READ_AHEAD)
        except OSError:
            raise RefusedError(502) from None
        try:
            backend.write(self.backend_request(studio.netloc, head, user, token))
            answer = await self.read_answer(head, reader)
        except BaseException:
            await closed(backend)
            raise
        writer.write(self.client_answer(head, answer, token))
        return reader, backend, answer

    async def read_answer(self, head: Head, reader: asyncio.StreamReader) -> Head:
        """Return the 101 of a backend; any other answer is raised as that for the client."""
        try:
            answer = parse_head(await reader.readuntil(b"\r\n\r\n"))
            status = answer.status if answer.first_line.startswith("HTTP/1.1 ") else 0
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
            raise RefusedError(502) from None
        if 400 <= status < 500:
            raise _PlainAnswer(await self.passed_refusal(answer, reader))
        if not self.accepts(head, answer, status):
            raise RefusedError(502)
        return answer

    def choose(self, user: str) -> SplitResult:
        """Return the backend of a user."""
        return self.studios[sum(user.encode()) % len(self.studios)]

    def backend_request(self, host: str, head: Head, user: str, token: str) -> bytes:
        """Return the handshake for the backend."""
        query = "&".join(filter(None, [f"user_id={quote(user, safe='')}", self.query(head, token)]))
        lines = [
            f"Host: {host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            *self.fields(head, user, token),
        ]
        return "\r\n".join([f"GET /ws?{query} HTTP/1.1", *lines, "", ""]).encode("latin-1")

    def query(self, head: Head, token: str) -> str:
        """Return what the backend gets of the client's query, byte by byte."""
        kept = ""
        for separator, field in re.findall(r"(^|[&;])([^&;]*)", head.target.partition("?")[2]):
            if not self.is_dropped(field, token):
                kept += (separator if kept else "") + field
        return kept

    def is_dropped(self, field: str, token: str) -> bool:
        """Tell whether a field of the query must not reach the backend."""
        name, _, value = field.partition("=")
        return unquote_plus(name) == "token" or token in (name, value) or self.may_be_user(name)

    def may_be_user(self, name: str) -> bool:
        """Tell whether a server may read a field's name as `user_id`."""
        for _ in range(3):
            name = unquote_plus(name)
        plain = name.strip().lower().removesuffix("[]").strip()
        return plain.replace(".", "_").replace(" ", "_") == "user_id"

    def fields(self, head: Head, user: str, token: str) -> list[str]:
        """Return the header lines for the backend."""
        given = head.get("x-request-id")
        request_id = given if re.fullmatch(r"[\w.-]{1,64}", given) else secrets.token_hex(8)
        offered = [part.strip() for part in head.get("sec-websocket-protocol").split(",") if part.strip()]
        kept = [part for part in offered if part not in (token, "bearer")]
        return [
            f"X-User-ID: {user.encode().decode('latin-1')}",
            *self.forwarded(head),
            f"X-Request-ID: {request_id}",
            *([f"Sec-WebSocket-Protocol: {', '.join(kept)}"] if kept else []),
            *self.client_fields(head, token),
        ]

    def forwarded(self, head: Head) -> list[str]:
        """Return the fields about the client's address."""
        return [
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Proto: http",
            f"X-Forwarded-Host: {head.get('host')}",
        ]

    def client_fields(self, head: Head, token: str) -> list[str]:
        """Return the fields of the client that the backend gets."""
        named = _tokens(head.get("connection"))
        lines = []
        for name, (key, value) in zip(head.names, head.fields, strict=True):
            text = value
            if (
                key in DROPPED
                or key in named
                or "_" in key
                or key.startswith("x-forwarded-")
                or value == token
            ):
                continue
            if key == "cookie":
                text = "; ".join(part for part in value.split("; ") if token not in part)
            if key == "referer":
                text = value.partition("?")[0]
            lines.append(f"{name}: {text}")
        return lines

    def accepts(self, head: Head, answer: Head, status: int) -> bool:
        """Tell whether the answer of a backend opens a WebSocket (RFC 6455 §4.1)."""
        offered = _tokens(head.get("sec-websocket-protocol"))
        selected = answer.get("sec-websocket-protocol").lower()
        return (
            status == 101
            and answer.get("upgrade").lower() == "websocket"
            and "upgrade" in _tokens(answer.get("connection"))
            and answer.get("sec-websocket-accept") == accept_for(head.get("sec-websocket-key"))
            and (not selected or selected in offered)
            and not (answer.get("sec-websocket-extensions") and not head.get("sec-websocket-extensions"))
        )

    def client_answer(self, head: Head, answer: Head, token: str) -> bytes:
        """Return the 101 for the client."""
        del token
        offered = _tokens(head.get("sec-websocket-protocol"))
        selected = answer.get("sec-websocket-protocol") or ("bearer" if "bearer" in offered else "")
        return accepting_answer(
            head.get("sec-websocket-key"),
            *([f"Sec-WebSocket-Protocol: {selected}"] if selected else []),
            *(
                f"Sec-WebSocket-Extensions: {value}"
                for key, value in answer.fields
                if key == "sec-websocket-extensions"
            ),
        )

    async def passed_refusal(self, answer: Head, reader: asyncio.StreamReader) -> bytes:
        """Return a 4xx of a backend for the client."""
        body = b""
        if "chunked" in answer.get("transfer-encoding"):
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
        else:
            body = await reader.readexactly(int(answer.get("content-length") or "0"))
        named = [*_tokens(answer.get("connection")), *DROPPED]
        kept = [
            f"{name}: {value}"
            for name, (key, value) in zip(answer.names, answer.fields, strict=True)
            if key not in named
        ]
        lines = [answer.first_line, *kept, "Connection: close", f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + body


class _PlainAnswer(Exception):  # noqa: N818 - not an error
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait until it is."""
    writer.close()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


def refusal_answer(refusal: RefusedError) -> bytes:
    """Return the answer to a refused client."""
    lines = [
        f"HTTP/1.1 {refusal.status} Refused",
        *refusal.lines,
        "Connection: close",
        "Content-Length: 2",
        "",
        "no",
    ]
    return "\r\n".join(lines).encode()


def _tokens(value: str) -> list[str]:
    return [part.strip().lower() for part in value.split(",")]
