"""The interface between a client of Socket.IO and the transport that carries its packets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from memmie_gateway.core.outcomes import Cause

Packet = str | bytes
"""An encoded packet of Engine.IO; bytes are a binary message."""

MOST_AT_ONCE: Final = 128
"""Maximum number of packets of one client that are processed in one turn of the event loop, because others wait."""


class CarrierOwner(Protocol):
    """The client, as its carrier sees it."""

    def heard(self, packets: Sequence[Packet | None]) -> None:
        """Packets came from the client; None stands for a control frame or a fragment, which costs work, too."""

    def still_sending(self) -> None:
        """Bytes of a message came that is not complete yet."""

    def closed(self, code: int, reason: str) -> None:
        """The client closes the connection."""

    def broke(self, cause: Cause, words: str) -> None:
        """The client has violated the protocol; nothing more is heard from it."""

    def lost(self, exc: Exception | None) -> None:
        """The connection has ended."""

    def full(self) -> None:
        """Too many bytes wait for the client."""

    def drained(self) -> None:
        """The client has taken bytes that waited."""


class Carrier(Protocol):
    """A transport of Engine.IO."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The TCP connection; None if there is not one for the whole time."""

    def send(self, packets: Sequence[Packet]) -> None:
        """Send packets, in order."""

    def answer(self, packet: Packet) -> None:
        """Send the answer to a packet; if too many bytes wait, nothing is heard until the client has taken some."""

    def waiting(self) -> int:
        """Return the number of bytes that wait in this process."""

    def set_limit(self, high: int) -> None:
        """Call `CarrierOwner.full` if more than this many bytes wait."""

    def taken(self) -> None:
        """The session has begun, so that the connection does not count as pending any more."""

    def pause(self) -> None:
        """Hear nothing more until `resume`."""

    def resume(self) -> None:
        """Hear again."""

    def finish(self, code: int, reason: str) -> None:
        """Tell the client that nothing follows; its answer is `CarrierOwner.closed`."""

    def is_closing(self) -> bool:
        """Tell whether the connection is closed, or is being closed."""

    def close(self) -> None:
        """Close the connection after all bytes are sent; then call `CarrierOwner.lost`."""

    def linger(self) -> None:
        """End the connection of a client that is refused, but let it read what was sent; nothing is heard any more."""

    def abort(self) -> None:
        """Close the connection at once; then call `CarrierOwner.lost`."""

    def leave(self) -> None:
        """Break the reference cycle with the owner, after the connection has ended."""
