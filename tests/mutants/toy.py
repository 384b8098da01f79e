"""A small and correct gateway in this process, on which the mutants are built: each overrides one of its methods.

It offers what the conformance tests need, and nothing beyond that.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import ssl
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.mutants.answers import (
    READ_AHEAD,
    BackendRefusedError,
    PlainAnswer,
    RefusedError,
    closed,
    plain,
    tokens,
    without,
)
from tests.mutants.backends import Backends
from tests.mutants.http_side import HttpSide
from tests.mutants.joint import Joint, Streams, Times
from tests.mutants.late_tokens import read_first_message, refuse_by_close
from tests.mutants.rewriting import SCHEME
from tests.mutants.socket_io import SocketJoint, open_socket_io, read_connect, refuse_connect
from tests.mutants.verdicts import Verdict, Verdicts

from memmie_harness.conformance.offers import OfferValue
from memmie_harness.conformance.peers import Head, parse_head
from memmie_harness.conformance.profile import Setup
from memmie_harness.conformance.stack import Stack

MAX_OF_USER = 5
MAX_TOKEN = 4096
DRAIN_SECONDS = 0.1
STOP_SECONDS = 3.0
NOBODY = Head("", ())


class Toy(HttpSide):
    """The gateway; it is made as `runner.run` makes gateways."""

    joint_kind: type[Joint] = Joint
    socket_joint_kind: type[SocketJoint] = SocketJoint

    def __init__(self, setup: Setup, stack: Stack) -> None:
        Verdicts.__init__(self, urlsplit(stack.auth.url))
        Backends.__init__(self, [urlsplit(studio.url) for studio in stack.studios])
        self.offers: Mapping[str, OfferValue] = setup.offers
        self.stack = stack
        self.url = ""
        self.lines: list[str] = []
        self.connections: Counter[str] = Counter()
        self.bursts = Counter()
        self.messages = 0
        self.leases = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # What the kit needs.

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=READ_AHEAD)
        self._servers.append(server)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        if self.offers.get("tls"):
            port, context = self.stack.tls_port, self.tls_context()
            self._servers.append(
                await asyncio.start_server(self._serve, "127.0.0.1", port, limit=READ_AHEAD, ssl=context)
            )

    def tls_context(self) -> ssl.SSLContext:
        """Return the context with the certificate of the kit."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.stack.tls_certificate_file, self.stack.tls_key_file)
        return context

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        if self.leases:
            await asyncio.sleep(DRAIN_SECONDS)
            self.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS if self.leases else 0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drain(self) -> None:
        """End every live connection."""
        for joint in self.leases:
            joint.end(1001)

    def log_tail(self, lines: int = 50) -> str:
        return "\n".join(self.lines[-lines:])

    def log(self, line: str) -> None:
        self.lines.append(line)

    # A request.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        SCHEME.set("https" if writer.get_extra_info("ssl_object") is not None else "http")
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
            path = self.check_request(head)
            if path == self.offers.get("renew_path"):
                await self.renew(head, reader)
            if self.is_http(path):
                await self.http(head, path, (reader, writer))
                return
            self.check_upgrade(head)
            if path == self.offers.get("socketio_path"):
                await self.socket_io(head, reader, writer)
            else:
                await self.upgrade(head, reader, writer)
        except BackendRefusedError as refusal:
            writer.write(refusal.data)
            await writer.drain()
        except RefusedError as refusal:
            self.log(f"refused {refusal.status}")
            writer.write(plain(refusal.status, b"no", *refusal.lines))
            await writer.drain()
        except PlainAnswer as answer:
            writer.write(answer.data)
            await writer.drain()

    def check_lines(self, raw: bytes) -> None:
        """Raise `RefusedError` unless every line is a field (RFC 9112 §5)."""
        for line in raw[:-4].split(b"\r\n")[1:]:
            if not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00\r\n]*", line):
                raise RefusedError(400)

    def check_request(self, head: Head) -> str:
        """Return the path of a request; raise `RefusedError` if it is invalid, or `PlainAnswer` for another route."""
        _, target, version = (*head.first_line.split(" "), "", "")[:3]
        hosts = [value for name, value in head.fields if name == "host"]
        if version != "HTTP/1.1" or len(hosts) != 1 or not re.fullmatch(r"[\w.:\[\]-]+", hosts[0]):
            raise RefusedError(400)
        path = re.sub(r"^http://[^/]*", "", target).partition("?")[0]
        if path == "/status":
            raise PlainAnswer(plain(200, b"ok"))
        if path == "/metrics":
            raise PlainAnswer(plain(200, self.metrics()))
        if self.is_http(path):
            return path
        if path not in {"/ws", self.offers.get("socketio_path"), self.offers.get("renew_path")}:
            raise RefusedError(404)
        return path

    def check_upgrade(self, head: Head) -> None:
        """Raise `RefusedError` unless a request is a handshake (RFC 6455 §4.2.1)."""
        names = Counter(name for name, _ in head.fields)
        if "transfer-encoding" in names or names["content-length"] or not head.first_line.startswith("GET "):
            raise RefusedError(400)
        if "websocket" not in tokens(head.get("upgrade")) or "upgrade" not in tokens(head.get("connection")):
            raise RefusedError(426, "Upgrade: websocket")
        if head.get("sec-websocket-version") != "13":
            raise RefusedError(426, "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        try:
            key = base64.b64decode(head.get("sec-websocket-key"), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 16 or names["sec-websocket-key"] != 1:
            raise RefusedError(400)
        self.check_origin(head)

    def check_origin(self, head: Head) -> None:
        """Raise `RefusedError` for a page of another origin."""
        allowed = self.offers.get("checks_origin")
        origins = [value for name, value in head.fields if name == "origin"]
        if allowed and origins and origins != [allowed]:
            raise RefusedError(403)

    def metrics(self) -> bytes:
        """Return the page of metrics."""
        live = sum(self.connections.values())
        return f"toy_connections {live}\ntoy_messages_total {self.messages}\n".encode()

    async def upgrade(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client to a backend, and forward until both have closed."""
        token = self.find_token(head)
        seconds = self.seconds("first_message_seconds")
        if token or not seconds:
            await self.connect(head, (reader, writer), token or "")
            return
        writer.write(self.client_answer(head, NOBODY, ""))
        try:
            token = await read_first_message(reader, writer, seconds)
            head = without(head, "sec-websocket-extensions")
            await self.connect(head, (reader, writer), token, answered=True)
        except RefusedError as refusal:
            await refuse_by_close(reader, writer, refusal)

    async def connect(self, head: Head, client: Streams, token: str, *, answered: bool = False) -> None:
        """Connect a client to a backend: its handshake is answered already, or is answered as the backend answers."""
        verdict = await self.welcome(token)
        try:
            await self.serve(head, client, verdict, self.joint_kind, writer=None if answered else client[1])
        finally:
            self.release(verdict.user)

    async def welcome(self, token: str) -> Verdict:
        """Return who a client is, after it has got a place."""
        if not token or len(token) > MAX_TOKEN:
            raise RefusedError(401)
        verdict = await self.verdict(token)
        if verdict.status != 200:
            raise RefusedError(verdict.status)
        self.admit(verdict.user)
        return verdict

    async def serve(
        self,
        head: Head,
        client: Streams,
        verdict: Verdict,
        kind: type[Joint],
        *,
        writer: asyncio.StreamWriter | None,
        welcome: bytes = b"",
    ) -> None:
        """Dial a backend, and forward until both sides have closed."""
        reader, backend, answer = await self.dial(head, verdict.user, verdict.token, writer)
        port = backend.get_extra_info("peername")[1]
        client[1].write(welcome)
        try:
            times = Times(
                self.seconds("ping_seconds"),
                self.seconds("ping_timeout_seconds"),
                self.seconds("idle_seconds"),
            )
            extensions = bool(answer.get("sec-websocket-extensions"))
            joint = kind(client, (reader, backend), self.count, extensions=extensions, times=times)
            await self.serve_joint(joint, verdict)
            if joint.studio_lost:
                self.broke(port, verdict.user)
        finally:
            await closed(backend)

    async def serve_joint(self, joint: Joint, verdict: Verdict) -> None:
        """Forward until both sides have closed, or the token expires."""
        self.begin(joint, verdict)
        try:
            await joint.run()
        finally:
            self.over(joint)

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

    # Socket.IO.

    async def socket_io(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client that speaks Socket.IO."""
        query = head.target.partition("?")[2].split("&")
        if "EIO=4" not in query or "transport=websocket" not in query:
            raise RefusedError(400)
        writer.write(self.client_answer(head, NOBODY, ""))
        interval = self.seconds("socketio_ping_seconds")
        open_socket_io(writer, interval)
        try:
            token = await read_connect(reader) or self.find_token(head) or ""
            await self.connect_socket(without(head, "sec-websocket-extensions"), (reader, writer), token)
        except RefusedError as refusal:
            refuse_connect(writer, refusal)
            await refuse_by_close(reader, writer, refusal)

    async def connect_socket(self, head: Head, client: Streams, token: str) -> None:
        """Connect a client that has sent CONNECT."""
        verdict = await self.welcome(token)
        interval = self.seconds("socketio_ping_seconds")
        kind = type("Kind", (self.socket_joint_kind,), {"interval": interval})
        try:
            await self.serve(head, client, verdict, kind, writer=None, welcome=self.socket_joint_kind.WELCOME)
        finally:
            self.release(verdict.user)
