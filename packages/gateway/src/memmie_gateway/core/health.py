"""Is a Studio healthy? A rise/fall state machine over active and passive evidence (spec §3, §8).

Active evidence is a probe: a ping over a WebSocket, and its pong. Passive evidence is what happens to real
connections: a dial that fails or succeeds, a connection that breaks. Both count alike.
"""

from __future__ import annotations

import enum
from typing import Final


class Health(enum.Enum):
    """What is known of a Studio."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthTracker:
    """Turns evidence into a state.

    The first evidence decides at once; from then on it takes `fall` failures in a row to make a Studio unhealthy
    and `rise` successes in a row to make it healthy again.

    Args:
        rise: successes in a row, at least 1.
        fall: failures in a row, at least 1.

    Attributes:
        state: what is known.
        reason: the last failure in words, "" where the last evidence was good.
    """

    __slots__ = ("_fall", "_rise", "_run", "reason", "state")

    def __init__(self, *, rise: int, fall: int) -> None:
        self._rise = rise
        self._fall = fall
        self._run = 0  # pieces of evidence in a row against the present state
        self.state = Health.UNKNOWN
        self.reason = ""

    def __repr__(self) -> str:
        return f"<HealthTracker {self.state.value} {self.reason!r}>"

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
"""Part of an interval by which probes are spread, so that gateways do not probe in step."""


def next_probe(tracker: HealthTracker, *, interval: float, recovery_interval: float, spread: float) -> float:
    """Return the seconds until the next probe.

    Args:
        tracker: what is known of the Studio; in doubt it is probed at the recovery interval.
        interval: seconds between probes of a healthy Studio.
        recovery_interval: seconds between probes of any other, or of one whose last evidence was bad.
        spread: a random number from -1 to 1.
    """
    calm = tracker.state is Health.HEALTHY and not tracker.reason
    return (interval if calm else min(interval, recovery_interval)) * (1 + JITTER * spread)
