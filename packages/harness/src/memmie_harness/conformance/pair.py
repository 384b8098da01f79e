"""A client and a Studio with the gateway between them."""

from __future__ import annotations

from dataclasses import dataclass

from memmie_harness.conformance.peers.frames import TEXT
from memmie_harness.conformance.peers.heads import accepting_answer
from memmie_harness.conformance.peers.side import Side


@dataclass(frozen=True, slots=True)
class Pair:
    """A client and a Studio with an open WebSocket between them."""

    client: Side
    studio: Side

    async def exchange(self) -> None:
        """Check that a message passes each way."""
        self.client.send(TEXT, "up")
        await self.studio.expect_message(TEXT, "up")
        self.studio.send(TEXT, "down")
        await self.client.expect_message(TEXT, "down")


def accept(studio: Side, *lines: str, behind: bytes = b"") -> None:
    """Answer a handshake with 101, with more header lines and with bytes right behind it."""
    studio.write(accepting_answer(studio.head.get("sec-websocket-key"), *lines) + behind)
