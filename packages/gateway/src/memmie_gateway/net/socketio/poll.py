"""One GET of a client that polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.net.handover import Handover


class Poll(asyncio.Protocol):
    """A GET that waits for its answer; it does not count as a connection of its address (spec §1).

    Args:
        arrival: the request.
        handover: its connection.
        on_lost: called when the connection has ended without an answer.

    Attributes:
        arrival: as given.
        handover: as given.
    """

    def __init__(self, arrival: Arrival, handover: Handover, on_lost: Callable[[], None]) -> None:
        self.arrival = arrival
        self.handover = handover
        self._on_lost = on_lost
        handover.take(self)
        handover.transport.resume_reading()  # to notice that the client leaves

    def __repr__(self) -> str:
        return f"<Poll {self.arrival!r}>"

    def connection_lost(self, _: Exception | None) -> None:
        """The client has left; packets wait for its next GET."""
        self._on_lost()
