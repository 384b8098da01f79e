"""Outliers: backends that pass their health checks, but break the connections of many users (spec §3).

The evidence is an end of a session that the backend caused: it is gone, it is silent, or it broke the protocol. Each
user counts once, so a client that breaks its own connections again and again decides nothing. The evidence waits
before it counts: if a health check or a dial fails at about the same time, the backend was down or restarted, and this
is a matter of its health.

A restart may be too short for a health check to fail. But it breaks only sessions that began before it. So half of the
users must have lost a session that began after another one had broken.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from memmie_gateway.core.oldest import drop_until

USERS: Final = 5
"""Number of users with broken connections that make an outlier."""

SHARE: Final = 0.5
"""Share of the backend's users with broken connections that makes an outlier."""

WINDOW_SECONDS: Final = 30.0
"""Seconds for which evidence counts, after it has waited."""

EJECTION_SECONDS: Final = 30.0
"""Seconds of the first ejection. Each further one takes this much longer."""

LONGEST_SECONDS: Final = 300.0
"""Maximum number of seconds of an ejection. After so much time without a further one, the next is the first again."""


class OutlierTracker:
    """The evidence about one backend.

    Args:
        hold: seconds for which evidence waits.
        probed: whether the backend has health checks. Then evidence also waits until one that began after it has passed.

    Attributes:
        ejected: whether the backend is ejected now.
    """

    __slots__ = (
        "_broken",
        "_ejections",
        "_failed",
        "_fresh",
        "_hold",
        "_left",
        "_passed",
        "_until",
        "ejected",
    )

    def __init__(self, *, hold: float, probed: bool) -> None:
        self._hold = hold
        self._broken: OrderedDict[str, float] = OrderedDict()  # when the first connection of each user broke
        # Those of them who lost a session that began after the first of these times.
        self._fresh: set[str] = set()
        self._left: OrderedDict[str, float] = OrderedDict()  # when a connection of each user last ended
        self._failed = -math.inf  # when a health check or a dial last failed
        self._passed = -math.inf if probed else math.inf  # when the last health check that passed began
        self._ejections = 0
        self._until = -math.inf  # the end of the last ejection
        self.ejected = False

    def __repr__(self) -> str:
        return f"<OutlierTracker broken={len(self._broken)} ejected={self.ejected}>"

    @property
    def waiting(self) -> bool:
        """Whether there is evidence, or an ejection whose end is to come."""
        return self.ejected or bool(self._broken)

    # What happened; `now` and all times are seconds of a monotonic clock.

    def ended(self, user_id: str, began: float, now: float, *, broken: bool) -> bool:
        """Note the end of a session; return whether this is new evidence.

        Args:
            user_id: its user.
            began: the time at which it began.
            now: the time.
            broken: whether the backend caused this end.
        """
        self._left.pop(user_id, None)
        self._left[user_id] = now  # the last one, because it is the latest
        drop_until(self._left, self._oldest(now))
        if not broken or self.ejected or now <= self._failed + self._hold:
            return False
        drop_until(self._broken, self._oldest(now))
        if self._broken and began >= next(iter(self._broken.values())):
            self._fresh.add(user_id)
        if user_id in self._broken:
            return False
        self._broken[user_id] = now
        return True

    def passed(self, began: float) -> None:
        """Note that a health check passed; `began` is the time at which it began."""
        self._passed = max(self._passed, began)

    def failed(self, began: float, now: float) -> None:
        """Note that a health check failed, or that a dial did not reach the backend, which explains evidence of about the same time."""
        self._failed = now
        self._broken = OrderedDict(
            (user_id, at) for user_id, at in self._broken.items() if at < began - self._hold
        )

    def returned(self) -> None:
        """Forget everything, because the backend was unhealthy and has returned."""
        self._broken.clear()
        self._left.clear()
        self._ejections = 0
        self.ejected = False

    # The decision.

    def share(self, now: float, live: Callable[[], Iterable[str]]) -> float:
        """Return the share of the backend's users whose connections it broke, or 0 if these are too few to judge.

        Args:
            now: the time.
            live: returns the users with live sessions; called only if there is enough evidence.
        """
        drop_until(self._broken, self._oldest(now))
        latest = min(now - self._hold, self._passed)
        counted = {user_id for user_id, at in self._broken.items() if at <= latest}
        self._fresh &= self._broken.keys()
        if len(counted) < USERS or len(counted & self._fresh) < len(counted) // 2:
            return 0.0
        drop_until(self._left, self._oldest(now))
        return len(counted) / len({*live(), *self._broken, *self._left})

    def eject(self, now: float) -> float:
        """Begin an ejection; return its length in seconds."""
        if now > self._until + LONGEST_SECONDS:
            self._ejections = 0
        self._ejections += 1
        seconds = min(EJECTION_SECONDS * self._ejections, LONGEST_SECONDS)
        self._until = now + seconds
        self.ejected = True
        self._broken.clear()
        return seconds

    def expired(self, now: float) -> bool:
        """End the ejection if its time is over; return whether it has ended now."""
        if not self.ejected or now < self._until:
            return False
        self.ejected = False
        return True

    def _oldest(self, now: float) -> float:
        """Return the time up to which everything is too old."""
        return now - self._hold - WINDOW_SECONDS


def may_eject(ejected: int, backends: int) -> bool:
    """Tell whether one more backend may be ejected: never the only one, and at most half of all.

    Args:
        ejected: number of backends that are ejected now.
        backends: number of all backends.
    """
    return ejected + 1 <= backends // 2
