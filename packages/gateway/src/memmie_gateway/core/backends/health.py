"""The health of a backend: a rise/fall state machine over active and passive evidence (spec §3, §8).

Active evidence comes from probes (`HEALTH_CHECK`). Passive evidence comes from real connections: a dial that fails or
succeeds, or a connection that breaks.

One client must not decide alone, because its dials may fail for reasons of its own. So passive evidence of a failure
counts at most once until a probe has looked, and is never enough without a second failure. An HTTP answer that is no
acceptance is weaker still, because the backend does answer: it counts only if it was given to several users.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import Final

from memmie_gateway.core.oldest import drop_until


class Health(enum.Enum):
    """The health of a backend."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


REFUSED_USERS: Final = 5
"""Number of users whose upgrade a backend must answer with an error, before this counts as one failure."""

REFUSED_SECONDS: Final = 10.0
"""Seconds within which they must be refused; a user counts once in this time."""


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

    __slots__ = ("_doubted", "_fall", "_refused", "_rise", "_run", "_uncounted", "reason", "state")

    def __init__(self, *, rise: int, fall: int) -> None:
        self._rise = rise
        self._fall = fall
        self._run = 0  # consecutive pieces of evidence against the current state
        self._doubted = False  # passive evidence has counted, and no probe has looked since
        self._refused: OrderedDict[str, float] = OrderedDict()  # when each user was refused
        self._uncounted: set[str] = set()  # those of them that are not part of a failure yet
        self.state = Health.UNKNOWN
        self.reason = ""

    def __repr__(self) -> str:
        return f"<HealthTracker {self.state.value} {self.reason!r}>"

    def fresh(self) -> HealthTracker:
        """Return a tracker with the same thresholds that has no evidence yet."""
        return HealthTracker(rise=self._rise, fall=self._fall)

    # Each of these returns whether the state has changed.

    def good(self) -> bool:
        """Count a success."""
        self.reason = ""
        self._uncounted.clear()
        return self._count(Health.HEALTHY, self._rise)

    def bad(self, reason: str) -> bool:
        """Count a failure."""
        self.reason = reason
        return self._count(Health.UNHEALTHY, self._fall)

    def doubt(self, reason: str) -> bool:
        """Count a failure of a client's connection, unless one has counted since the last probe.

        It never decides alone, even if `fall` is 1 or nothing is known yet.
        """
        if self._doubted:
            return False
        self._doubted = True
        self.reason = reason
        return self.state is not Health.UNKNOWN and self._count(Health.UNHEALTHY, max(self._fall, 2))

    def refused(self, user_id: str, reason: str, now: float) -> bool:
        """Count that an upgrade of this user was answered with an error.

        Args:
            user_id: the user.
            reason: the answer in words.
            now: seconds of a monotonic clock.
        """
        expired = drop_until(self._refused, now - REFUSED_SECONDS)
        self._uncounted.difference_update(expired)
        if user_id in self._refused:
            return False
        self._refused[user_id] = now
        self._uncounted.add(user_id)
        if len(self._uncounted) < REFUSED_USERS:
            return False
        self._uncounted.clear()
        if self._doubted:
            return False
        self._doubted = True
        return self.bad(reason)

    def looked(self) -> None:
        """A probe has looked: from now on, passive evidence is new."""
        self._doubted = False

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
