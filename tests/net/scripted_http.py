"""A Studio whose every byte of HTTP the test decides, and requests that are sent as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.net.scripted_studio import ScriptedStudio

from memmie_harness.conformance.peers import Head, Peer, parse_head


class HttpPeer(Peer):
    """One end of an HTTP connection; heads are read without their bodies."""

    async def read_head(self) -> Head:
        """Read a head, and nothing behind it."""
        self.head = parse_head(await self.read_until(b"\r\n\r\n"))
        return self.head

    async def read_chunk(self) -> bytes:
        """Read one chunk of a body; b"" is the last one."""
        size = int(await self.read_until(b"\r\n"), 16)
        return (await self.read(size + 2))[:-2]

    async def read_chunks(self) -> bytes:
        """Read a chunked body."""
        parts = []
        while part := await self.read_chunk():
            parts.append(part)
        return b"".join(parts)

    def answer(self, body: bytes = b"", *fields: str, status: str = "200 OK") -> None:
        """Answer with a body of known length."""
        self.write(head(f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields) + body)


class ScriptedHttp(ScriptedStudio):
    """Hands each connection with a request for `/api` or `/ws` to the test."""

    def make_peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> HttpPeer:
        """Return a server's end."""
        return HttpPeer(reader, writer, mask=None)

    def claim(self, peer: Peer) -> bool:
        """Keep requests for `/api`, too."""
        if not peer.head.target.startswith("/api"):
            return super().claim(peer)
        self._arrived.put_nowait(peer)
        return True

    async def request(self) -> HttpPeer:
        """Return the next connection with a request for `/api`, of which the head has been read."""
        peer = await self.arrival()
        assert isinstance(peer, HttpPeer)
        return peer


def head(first: str, *fields: str) -> bytes:
    """Build a head."""
    return "\r\n".join([first, *fields, "", ""]).encode("latin-1")


def request(
    method: str = "GET",
    target: str = "/api/x",
    *,
    token: str = "",
    extra: Iterable[str] = (),
    version: str = "1.1",
) -> bytes:
    """Build the head of a request."""
    fields = ["Host: gateway.test", *([f"Authorization: Bearer {token}"] if token else []), *extra]
    return head(f"{method} {target} HTTP/{version}", *fields)
