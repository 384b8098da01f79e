"""A Studio whose every byte the test decides: a plain TCP server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from tests.net.wire import CLOSE, PATIENCE, PING, PONG, Peer, accept_for


class ScriptedStudio:
    """Hands each connection to the test. Health probes it answers itself, as Studio would."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[Peer] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.url = ""
        self.read_ahead = 1 << 16
        """Bytes read from a connection before the test asks for them."""
        self.answers_health_checks = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=self.read_ahead)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()

    async def arrival(self) -> Peer:
        """Return the next connection that asks for `/ws`; its request has been read, nothing was answered."""
        async with asyncio.timeout(PATIENCE):
            return await self._arrived.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        peer = Peer(reader, writer, mask=None)
        with contextlib.suppress(OSError, EOFError):
            head = await peer.read_head()
            if head.target.partition("?")[0] == "/ws":
                self._arrived.put_nowait(peer)
                return
            accept(peer)
            while (frame := await peer.read_frame()).opcode == PING and self.answers_health_checks:
                peer.send(PONG, frame.payload)
            peer.send(CLOSE, frame.payload)
        writer.close()


def accept(peer: Peer, *fields: str, behind: bytes = b"") -> None:
    """Answer 101, with more header fields and with bytes right behind it."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_for(peer.head.get('sec-websocket-key'))}",
        *fields,
    ]
    peer.write("\r\n".join([*lines, "", ""]).encode() + behind)
