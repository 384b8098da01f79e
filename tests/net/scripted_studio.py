"""A Studio whose every byte the test decides: a plain TCP server."""

from __future__ import annotations

import asyncio

from memmie_harness.conformance.peers import PATIENCE, Peer, PeerServer, accepting_answer


class ScriptedStudio(PeerServer[Peer]):
    """Hands each connection that asks for `/ws` to the test. It answers health probes itself, as Studio would."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived: asyncio.Queue[Peer] = asyncio.Queue()

    async def arrival(self) -> Peer:
        """Return the next connection that asks for `/ws`; its request has been read, nothing was answered."""
        async with asyncio.timeout(PATIENCE):
            return await self._arrived.get()

    def make_peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Peer:
        """Return a server's end."""
        return Peer(reader, writer, mask=None)

    def claim(self, peer: Peer) -> bool:
        """Keep a connection that asks for `/ws` for the test."""
        if peer.head.target.partition("?")[0] != "/ws":
            return False
        self._arrived.put_nowait(peer)
        return True


def accept(peer: Peer, *fields: str, behind: bytes = b"") -> None:
    """Answer 101, with more header fields and with bytes right behind it."""
    peer.write(accepting_answer(peer.head.get("sec-websocket-key"), *fields) + behind)
