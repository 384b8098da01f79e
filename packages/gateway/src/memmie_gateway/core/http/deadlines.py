"""The deadlines of one forwarded request: its body, a standstill and the whole."""

from __future__ import annotations

import enum
import math


class Late(enum.Enum):
    """What was late."""

    BODY = "body"
    """The client did not send its whole request in time."""
    CLIENT = "client"
    """The client neither sends nor takes anything."""
    SERVICE = "service"
    """The service neither takes nor sends anything."""
    TOTAL = "total"
    """The request took too long as a whole."""


class Deadlines:
    """The deadlines of a request.

    Args:
        body: maximum time in seconds until the whole request has arrived.
        idle: maximum time in seconds in which nothing moves.
        total: maximum time in seconds for the whole request.
        now: the time in seconds at which the request began.

    Attributes:
        body_complete: whether the whole request has arrived.
        for_client: whether the gateway waits for the client; otherwise it waits for the service.
        moved: the time at which something was last sent or received.
    """

    __slots__ = ("_body_due", "_idle", "_total_due", "body_complete", "for_client", "moved")

    def __init__(self, *, body: float, idle: float, total: float, now: float) -> None:
        self._idle = idle
        self._body_due = now + body
        self._total_due = now + total
        self.body_complete = False
        self.for_client = False
        self.moved = now

    def __repr__(self) -> str:
        return f"<Deadlines idle since {self.moved:g}>"

    def stream(self) -> None:
        """Wait for the service as long as it likes, because its answer is a stream of events."""
        self._total_due = math.inf

    def late(self, now: float) -> Late | None:
        """Return what is late, or None."""
        if now >= self._total_due:
            return Late.TOTAL
        if not self.body_complete and now >= self._body_due:
            return Late.BODY
        if now >= self._idle_due():
            return Late.CLIENT if self.for_client else Late.SERVICE
        return None

    def next_look(self) -> float:
        """Return the earliest time at which something may be late; infinity if nothing can be."""
        body_due = math.inf if self.body_complete else self._body_due
        return min(self._total_due, body_due, self._idle_due())

    def _idle_due(self) -> float:
        if self._total_due == math.inf and not self.for_client:
            return math.inf  # a stream of events
        return self.moved + self._idle
