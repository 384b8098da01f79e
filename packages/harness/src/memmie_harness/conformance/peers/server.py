"""A TCP server of peers: a Studio that is scripted byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import Final, Generic, Self, TypeVar

from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.peers.frames import CLOSE, PING, PONG
from memmie_harness.conformance.peers.heads import accepting_answer, parse_head
from memmie_harness.conformance.peers.peer import Peer

P = TypeVar("P", bound=Peer)

NOT_HTTP: Final = (OSError, EOFError, asyncio.LimitOverrunError, ValueError, AssertionError, Violation)
"""What reading a request raises if none comes, or if it is not valid; the connection is then closed."""


class PeerServer(ABC, Generic[P]):
    """Accepts connections on a free port of 127.0.0.1, and answers as a healthy Studio those that no test claims."""

    def __init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        """The port; 0 before the start takes a free one."""
        self.read_ahead = 1 << 16
        """How many bytes are read from a connection before they are needed."""
        self.answers_health_checks = True

    @property
    def url(self) -> str:
        """The WebSocket address."""
        return f"ws://127.0.0.1:{self.port}/ws"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, and abort every connection."""
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop, on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=self.read_ahead)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and abort every connection."""
        if self._server is None:
            return
        self._server.close()
        writers, self._writers = self._writers, set()
        for writer in writers:
            writer.transport.abort()
        for writer in writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()
        self._server = None

    @abstractmethod
    def make_peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> P:
        """Return the peer at this end of a new connection."""

    @abstractmethod
    def claim(self, peer: P) -> bool:
        """Take a connection with a request that was read and not answered; return False to leave it to the server."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        peer = self.make_peer(reader, writer)
        with contextlib.suppress(*NOT_HTTP):
            # A test may answer before a body has come; health checks have none.
            peer.head = parse_head(await peer.read_until(b"\r\n\r\n"))
            if self.claim(peer):
                return
            await self._answer_health_check(peer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)

    async def _answer_health_check(self, peer: P) -> None:
        if peer.head.get("upgrade").lower() != "websocket":
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        peer.write(accepting_answer(peer.head.get("sec-websocket-key")))
        while (frame := await peer.read_frame()).opcode == PING and self.answers_health_checks:
            peer.send(PONG, frame.payload)
        peer.send(CLOSE, frame.payload)
