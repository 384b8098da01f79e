"""The health of a backend: a rise/fall state machine over active and passive evidence (spec §3, §8).

Active evidence comes from probes, which send a ping over a WebSocket and wait for its pong. Passive evidence comes from
real connections: a dial that fails or succeeds, or a connection that breaks. Both count the same.
"""

from __future__ import annotations

import enum
from typing import Final


class Health(enum.Enum):
    """The health of a backend."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthTracker:
    """Turns evidence into a state.

    The first evidence sets the state immediately. After that, `fall` consecutive failures make a backend unhealthy, and
    `rise` consecutive successes make it healthy again.

    Args:
        rise: number of consecutive successes, at least 1.
        fall: number of consecutive failures, at least 1.

    Attributes:
        state: the current health.
        reason: the last failure in words, "" if the last evidence was good.
    """

    __slots__ = ("_fall", "_rise", "_run", "reason", "state")

    def __init__(self, *, rise: int, fall: int) -> None:
        self._rise = rise
        self._fall = fall
        self._run = 0  # consecutive pieces of evidence against the current state
        self.state = Health.UNKNOWN
        self.reason = ""

    def __repr__(self) -> str:
        return f"<HealthTracker {self.state.value} {self.reason!r}>"

    def fresh(self) -> HealthTracker:
        """Return a tracker with the same thresholds that has no evidence yet."""
        return HealthTracker(rise=self._rise, fall=self._fall)

    def good(self) -> bool:
        """Count a success; return whether the state has changed."""
        self.reason = ""
        return self._count(Health.HEALTHY, self._rise)

    def bad(self, reason: str) -> bool:
        """Count a failure; return whether the state has changed."""
        self.reason = reason
        return self._count(Health.UNHEALTHY, self._fall)

    def _count(self, verdict: Health, needed: int) -> bool:
        if self.state is verdict:
            self._run = 0
            return False
        self._run += 1
        if self.state is not Health.UNKNOWN and self._run < needed:
            return False
        self.state = verdict
        self._run = 0
        return True


JITTER: Final = 0.1
"""Fraction of an interval by which probes are shifted randomly, so that gateways do not probe simultaneously."""


def next_probe(tracker: HealthTracker, *, interval: float, recovery_interval: float, spread: float) -> float:
    """Return the seconds until the next probe.

    Args:
        tracker: the health of the backend.
        interval: seconds between probes of a healthy backend.
        recovery_interval: seconds between probes of any other backend, and of a healthy one after bad evidence.
        spread: a random number from -1 to 1.
    """
    calm = tracker.state is Health.HEALTHY and not tracker.reason
    return (interval if calm else min(interval, recovery_interval)) * (1 + JITTER * spread)
