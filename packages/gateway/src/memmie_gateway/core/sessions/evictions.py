"""Evictions: the pace at which the gateway ends live sessions on evidence.

Evidence can be wrong: a health check that is broken while the sessions are well, an Auth that refuses every token. If
the gateway ended at once all sessions that one wrong signal points to, all their clients would reconnect at the same
time. So every end on evidence passes `Evictions`, which limits how many sessions end in one second.

A token that expires or is revoked, a protocol violation, a limit, a drain or a lost connection is a fact and not
evidence. Such an end never waits here.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from memmie_gateway.core.limits import Rate, TokenBucket

T = TypeVar("T")


class Evidence(enum.Enum):
    """What an eviction is based on; in the order in which evictions that wait are carried out."""

    REPLACED = "replaced"
    """A new connection of the same user takes the place of one that does not answer a ping."""
    SILENT = "silent"
    """A client or backend does not answer a ping."""
    UNHEALTHY = "unhealthy"
    """The backend of the session is unhealthy and silent."""
    REFUSED = "refused"
    """Auth was asked again, and refused the token."""
    MOVE = "move"
    """The user belongs to another backend."""

    __hash__ = object.__hash__  # by identity; that of Enum hashes the name, in Python


class Mode(enum.Enum):
    """What happens to a session that is to be evicted: `EVICTIONS`."""

    ACT = "act"
    OBSERVE = "observe"
    OFF = "off"


class Share:
    """A limit of judgements, which are weaker evidence: at most a share of the live sessions in some seconds.

    Args:
        share: the part of the live sessions, from 0 to 1.
        at_least: number of evictions that are always allowed, however few sessions there are.
        seconds: the length of the sliding window.
    """

    __slots__ = ("_at_least", "_seconds", "_share", "_times")

    def __init__(self, *, share: float, at_least: int, seconds: float) -> None:
        self._share = share
        self._at_least = at_least
        self._seconds = seconds
        self._times: deque[float] = deque()  # of the evictions in the window

    def __repr__(self) -> str:
        return f"<Share {len(self._times)} in {self._seconds:g} s>"

    def wait(self, now: float, live: int) -> float:
        """Return the seconds until one more eviction is allowed; 0 if it is allowed now.

        Args:
            now: seconds of a monotonic clock.
            live: number of live sessions now. Those that were evicted in the window count as live, too.
        """
        times = self._times
        while times and times[0] <= now - self._seconds:
            times.popleft()
        allowed = max(self._at_least, math.floor((live + len(times)) * self._share))
        return 0.0 if len(times) < allowed else times[0] + self._seconds - now

    def take(self, now: float) -> None:
        """Count an eviction."""
        self._times.append(now)


BURST_SECONDS: Final = 0.04
"""The budget allows a burst of as many evictions as the rate allows in this time, but at least one."""


class Evictions(Generic[T]):
    """The evictions that wait, and the decision which of them may be carried out.

    Args:
        per_second: maximum number of evictions per second for all evidence together; 0 for no maximum.

    Attributes:
        limits: the further limits, by evidence.
    """

    def __init__(self, per_second: float) -> None:
        self._bucket: TokenBucket | None = None
        self._quota = Rate(per_second, max(1, math.floor(per_second * BURST_SECONDS)))
        self._waiting: dict[Evidence, deque[T]] = {evidence: deque() for evidence in Evidence}
        self.limits = {
            Evidence.REFUSED: Share(share=1 / 4, at_least=10, seconds=60),
            Evidence.MOVE: Share(share=1 / 30, at_least=20, seconds=1),
        }

    def __repr__(self) -> str:
        return f"<Evictions waiting={len(self)}>"

    def __len__(self) -> int:
        """Return the number of evictions that wait."""
        return sum(map(len, self._waiting.values()))

    def waiting(self, evidence: Evidence) -> int:
        """Return the number of evictions on this evidence that wait."""
        return len(self._waiting[evidence])

    def add(self, evidence: Evidence, item: T) -> None:
        """Add an eviction at the end of those on the same evidence."""
        self._waiting[evidence].append(item)

    def due(self, now: float, live: int, *, holds: Callable[[T], bool]) -> list[tuple[Evidence, T]]:
        """Return the evictions to carry out now, and forget them.

        Args:
            now: seconds of a monotonic clock.
            live: number of live sessions.
            holds: tells whether an eviction is still to be carried out. If not, it is dropped and costs nothing.
        """
        found: list[tuple[Evidence, T]] = []
        for evidence, items in self._waiting.items():
            limit = self.limits.get(evidence)
            while items:
                if not holds(items[0]):
                    items.popleft()
                elif (limit is not None and limit.wait(now, live - len(found))) or self._budget(now):
                    break
                else:
                    found.append((evidence, items.popleft()))
                    if limit is not None:
                        limit.take(now)
        return found

    def _budget(self, now: float) -> float:
        """Take one eviction from the budget; return 0, or the seconds until there is one to take."""
        if not self._quota.per_second:
            return 0.0
        if self._bucket is None:
            self._bucket = TokenBucket(self._quota, now)
        return self._bucket.take(now)
