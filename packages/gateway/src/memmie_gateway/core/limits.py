"""Limits: how many at once, and how many per second (spec §7, §8).

`Slots` and `Rates` are the seams: a store may count in this process (`net.stores.local`) or elsewhere, and may have to
wait. What they count with is here, and its state is bounded: slots by the connections that there are, rates by
eviction of the least recently used.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, Protocol

from memmie_gateway.core.steps import Maybe


class Rate(NamedTuple):
    """A quota.

    Attributes:
        per_second: how many a second over time; 0 means no limit.
        burst: how many at once, at least 1.
    """

    per_second: float
    burst: float


class Slot(Protocol):
    """One of the places that a limit allows, taken."""

    def release(self) -> None:
        """Give it back; a second call does nothing. It never waits."""


class Slots(Protocol):
    """Limits how many there are at once for each key."""

    def acquire(self, key: str, limit: int) -> Maybe[Slot | None]:
        """Take a slot, or return None where `limit` slots of `key` are taken; a limit of 0 means no limit."""


class Rates(Protocol):
    """Limits how many there are per second for each key."""

    def take(self, key: str, quota: Rate) -> Maybe[float]:
        """Take one token of `key`; return 0, or the seconds until there is one to take."""

    def bucket(self, key: str, quota: Rate) -> TokenBucket | None:
        """Return the bucket of `key`, for who pays by itself; None where there is no limit. It never waits."""


class SlotCounts:
    """Counts the slots taken for each key."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<SlotCounts keys={len(self._held)}>"

    def acquire(self, key: str, limit: int) -> bool:
        """Take a slot, to be given back with `release`; False where all `limit` are taken. 0 means no limit."""
        held = self._held.get(key, 0)
        if limit and held >= limit:
            return False
        self._held[key] = held + 1
        return True

    def release(self, key: str) -> None:
        """Give a slot back."""
        held = self._held[key] - 1
        if held:
            self._held[key] = held
        else:
            del self._held[key]

    def held(self, key: str) -> int:
        """Return how many slots of `key` are taken."""
        return self._held.get(key, 0)


class TokenBucket:
    """A rate with a burst, that may be overdrawn: what was received cannot be unreceived, only waited for.

    `left` is public so that the data path can pay with one subtraction, and ask (`settle`) only when in debt.

    Args:
        quota: its rate, above 0, and its burst.
        now: seconds, any clock that does not go back.

    Attributes:
        quota: as given; it may be replaced at any time.
        left: tokens left; below 0, a debt.
    """

    __slots__ = ("_debt", "_filled", "left", "quota")

    def __init__(self, quota: Rate, now: float) -> None:
        self.quota = quota
        self._filled = now
        self._debt = 0.0  # at the last call of `settle`
        self.left = quota.burst

    def __repr__(self) -> str:
        return f"<TokenBucket {self.quota.per_second}/s left={self.left:.1f} of {self.quota.burst}>"

    def settle(self, now: float) -> float:
        """Add what was earned since the last call; return the seconds until the debt is paid, 0 for no debt.

        At most the debt and one burst are earned between two calls. So a bucket that is settled only when it is in
        debt lets at most two bursts pass at once, and the rate holds over any longer time.
        """
        rate, burst = self.quota
        earned = min((now - self._filled) * rate, self._debt + burst)
        self._filled = now
        self.left = min(burst, self.left + earned)
        self._debt = max(0.0, -self.left)
        return self._debt / rate

    def take(self, now: float) -> float:
        """Take one token; return 0, or the seconds until there is one to take."""
        self.settle(now)
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) / self.quota.per_second


class Buckets:
    """A bucket for each key; beyond `max_keys` the least recently used is forgotten."""

    __slots__ = ("_buckets", "_max_keys")

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Buckets keys={len(self._buckets)}>"

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._buckets)

    def bucket(self, key: str, quota: Rate, now: float) -> TokenBucket | None:
        """Return the bucket of `key`, full if it is new; None where there is no limit."""
        if not quota.per_second:
            return None
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(quota, now)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        else:
            bucket.quota = quota
            self._buckets.move_to_end(key)
        return bucket

    def take(self, key: str, quota: Rate, now: float) -> float:
        """Take one token of `key`; return 0, or the seconds until there is one to take."""
        bucket = self.bucket(key, quota, now)
        return bucket.take(now) if bucket is not None else 0.0
