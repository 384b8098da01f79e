"""Studios of a conformance run: each connection belongs to the test with the marker in its request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from memmie_harness.conformance.peers.heads import Head
from memmie_harness.conformance.peers.server import PeerServer
from memmie_harness.conformance.peers.side import Side

Claim = Callable[["Side"], bool]
"""Takes a connection with a request that was read; returns False if the request belongs to no test."""

READ_AHEAD = 1 << 17
"""How many bytes are read from a connection before a test asks for them; request heads are smaller."""


class ConformanceStudio(PeerServer[Side]):
    """A Studio that hands its connections to tests.

    Args:
        number: its number, from 1.
        claim: decides which test a connection belongs to.
    """

    def __init__(self, number: int, claim: Claim) -> None:
        super().__init__()
        self.number = number
        self.read_ahead = READ_AHEAD
        self._claim = claim

    @property
    def address(self) -> str:
        """The address as HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def make_peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Side:
        """Return a server's end."""
        side = Side(reader, writer, mask=None)
        side.name = f"studio {self.number}"
        return side

    def claim(self, peer: Side) -> bool:
        """Ask whether a test takes this connection."""
        return self._claim(peer)


def contains(head: Head, marker: str) -> bool:
    """Tell whether a request has this marker anywhere in its first line or its fields."""
    return marker in head.first_line or any(marker in value for _, value in head.fields)
