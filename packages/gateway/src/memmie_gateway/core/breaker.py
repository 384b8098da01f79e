"""A circuit breaker: when a service fails again and again, stop asking for a while."""

from __future__ import annotations

import enum


class Circuit(enum.Enum):
    """Closed lets calls pass, open lets none pass, half open lets one pass to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts failures in a row, and opens at `failures` of them for `open_seconds`.

    Args:
        failures: failures in a row that open it; 0 never does.
        open_seconds: how long it stays open before one call may try again, and how long that one may take to
            tell its outcome before another may try.
    """

    __slots__ = ("_failures", "_in_a_row", "_open_seconds", "_since", "circuit")

    def __init__(self, *, failures: int, open_seconds: float) -> None:
        self._failures = failures
        self._open_seconds = open_seconds
        self._in_a_row = 0
        self._since = 0.0  # when it opened, or let the last call try
        self.circuit = Circuit.CLOSED

    def __repr__(self) -> str:
        return f"<Breaker {self.circuit.value} failures={self._in_a_row}>"

    def allows(self, now: float) -> bool:
        """Tell whether a call may be made; a yes while half open is for one call, whose outcome must be told."""
        if self.circuit is Circuit.CLOSED:
            return True
        if self.retry_after(now):
            return False
        self.circuit = Circuit.HALF_OPEN
        self._since = now
        return True

    def succeeded(self) -> bool:
        """A call was answered; return whether that ends a time without calls."""
        ends = self.circuit is not Circuit.CLOSED
        self._in_a_row = 0
        self.circuit = Circuit.CLOSED
        return ends

    def failed(self, now: float) -> bool:
        """A call was not answered; return whether that begins a time without calls."""
        self._in_a_row += 1
        begins = self._in_a_row == self._failures
        if begins or self.circuit is Circuit.HALF_OPEN:
            self.circuit = Circuit.OPEN
            self._since = now
        return begins

    def retry_after(self, now: float) -> float:
        """Return the seconds until a call may be made again, 0 where one may be made now."""
        if self.circuit is Circuit.CLOSED:
            return 0.0
        return max(0.0, self._since + self._open_seconds - now)
