"""Pauses: time in which the gateway itself did not run, such as between SIGSTOP and SIGCONT.

Whoever is silent in a pause is not silent for the gateway: it may have answered, and the answer waits to be read. So no
time-out of another party runs in a pause. A loop that is blocked for as long by its own work counts as paused, too.
"""

from __future__ import annotations

from typing import Final

STEP_SECONDS: Final = 0.25
"""Maximum time between two readings while the process runs. A timer reads the clock if nothing else does."""

LATE_SECONDS: Final = 0.75
"""A reading that is this much later than the one before follows a pause."""

SETTLE_SECONDS: Final = 1.0
"""After a pause the clock stands still for this time, in which everything is read that has arrived meanwhile."""


class Pauses:
    """Subtracts the pauses from a monotonic clock.

    Args:
        now: seconds of the monotonic clock.

    Attributes:
        count: number of pauses so far.
        missed: seconds that were subtracted so far.
    """

    __slots__ = ("_seen", "_settled", "count", "missed")

    def __init__(self, now: float) -> None:
        self._seen = now
        self._settled = now
        self.count = 0
        self.missed = 0.0

    def __repr__(self) -> str:
        return f"<Pauses missed={self.missed:.3f}>"

    def read(self, now: float) -> float:
        """Return the time without the pauses, in seconds; it never goes back.

        Args:
            now: seconds of the monotonic clock. It must be read at least every `STEP_SECONDS`.
        """
        passed = now - self._seen
        self._seen = now
        if passed >= LATE_SECONDS:
            self.count += 1
            self.missed += passed
            self._settled = now + SETTLE_SECONDS
        elif now < self._settled:
            self.missed += passed
        return now - self.missed
