"""A circuit breaker: stops calls to a service for a while when it keeps failing."""

from __future__ import annotations

import enum


class Circuit(enum.Enum):
    """Closed lets calls pass, open lets none pass, half open lets one pass as a trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts consecutive failures, and opens for `open_seconds` when there are `failures` of them.

    Args:
        failures: consecutive failures that open it; 0 never opens it.
        open_seconds: how long it stays open before a trial call, and how long the outcome of that one may take
            before another trial.

    Attributes:
        circuit: its state.
    """

    __slots__ = ("_failures", "_in_a_row", "_open_seconds", "_since", "circuit")

    def __init__(self, *, failures: int, open_seconds: float) -> None:
        self._failures = failures
        self._open_seconds = open_seconds
        self._in_a_row = 0
        self._since = 0.0  # when it opened, or when the last trial began
        self.circuit = Circuit.CLOSED

    def __repr__(self) -> str:
        return f"<Breaker {self.circuit.value} failures={self._in_a_row}>"

    def allows(self, now: float) -> bool:
        """Tell whether a call may be made; while half open, only a single one, and its outcome must be reported."""
        if self.circuit is Circuit.CLOSED:
            return True
        if self.retry_after(now):
            return False
        self.circuit = Circuit.HALF_OPEN
        self._since = now
        return True

    def succeeded(self) -> bool:
        """Count a success; return whether it closes the circuit."""
        ends = self.circuit is not Circuit.CLOSED
        self._in_a_row = 0
        self.circuit = Circuit.CLOSED
        return ends

    def failed(self, now: float) -> bool:
        """Count a failure; return whether it opens a circuit that was closed."""
        self._in_a_row += 1
        begins = self._in_a_row == self._failures
        if begins or self.circuit is Circuit.HALF_OPEN:
            self.circuit = Circuit.OPEN
            self._since = now
        return begins

    def retry_after(self, now: float) -> float:
        """Return the seconds until a call may be made again; 0 if one may be made now."""
        if self.circuit is Circuit.CLOSED:
            return 0.0
        return max(0.0, self._since + self._open_seconds - now)
