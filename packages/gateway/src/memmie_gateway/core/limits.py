"""Limits on concurrent connections and on rates (spec §7, §8).

`Slots` and `Rates` are the interfaces of stores. A store may count in this process (`net.stores.local`) or elsewhere, so
it may have to wait. The counters themselves are in this module, and their size is bounded: there are at most as many
slots as connections, and of the rates the least recently used are evicted.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final, Protocol

from memmie_gateway.core.record import record
from memmie_gateway.core.steps import Maybe

TURN_SECONDS: Final = 0.05
"""Minimum time between two turns of a connection that waits for tokens, if it wants more than one of them."""


@record
class Rate:
    """A rate limit with a burst.

    Attributes:
        per_second: the average rate per second; 0 means no limit.
        burst: how many may come at once, at least 1.
    """

    per_second: float
    burst: float


class Slot(Protocol):
    """An acquired slot of a limit on concurrent connections."""

    def release(self) -> None:
        """Release the slot; a second call does nothing. It never waits."""

    def retake(self) -> None:
        """Take a released slot again, even if this exceeds the limit. It never waits."""


class HeldSlots:
    """All slots of a client, which are released together.

    Args:
        slots: in the order in which they were acquired.

    Attributes:
        held: whether they are held now.
    """

    __slots__ = ("_slots", "_suspended", "held")

    def __init__(self, *slots: Slot) -> None:
        self._slots = slots
        self._suspended = False
        self.held = True

    def __repr__(self) -> str:
        return f"<HeldSlots {len(self._slots)}>"

    def release(self) -> None:
        """Release all slots; a second call does nothing."""
        self.held = self._suspended = False
        for slot in self._slots:
            slot.release()

    def suspend(self) -> None:
        """Release all slots until `resume`, because the client seems to be dead."""
        if self.held:
            self.release()
            self._suspended = True

    def resume(self) -> None:
        """End `suspend`: the client is alive, so it counts again. Without `suspend` this does nothing."""
        if self._suspended:
            self.retake()

    def retake(self) -> None:
        """Take all slots again after `release`, even if this exceeds a limit."""
        self._suspended = False
        self.held = True
        for slot in self._slots:
            slot.retake()


class Slots(Protocol):
    """Limits the number of concurrent connections for each key."""

    def acquire(self, key: str, limit: int) -> Maybe[Slot | None]:
        """Acquire a slot, or return None if `limit` slots of `key` are in use; 0 means no limit.

        If a caller is cancelled while it waits, it has no slot: the store releases what is granted after that.
        """


class Rates(Protocol):
    """Limits the rate for each key."""

    def take(self, key: str, quota: Rate) -> Maybe[float]:
        """Take one token of `key`; return 0, or the seconds until there is one to take."""

    def bucket(self, key: str, quota: Rate) -> TokenBucket | None:
        """Return the bucket of `key`, for callers that take from it directly; None if there is no limit. It never waits."""


class SlotCounts:
    """Counts the slots in use for each key."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<SlotCounts keys={len(self._held)}>"

    def acquire(self, key: str, limit: int) -> bool:
        """Acquire a slot, which `release` frees; return False if all `limit` slots are in use. 0 means no limit."""
        held = self._held.get(key, 0)
        if limit and held >= limit:
            return False
        self._held[key] = held + 1
        return True

    def release(self, key: str) -> None:
        """Release a slot."""
        held = self._held[key] - 1
        if held:
            self._held[key] = held
        else:
            del self._held[key]

    def held(self, key: str) -> int:
        """Return the number of slots of `key` in use."""
        return self._held.get(key, 0)


class TokenBucket:
    """A token bucket that may be overdrawn; the sender must then wait.

    `left` is public so that the data path can compare with it and subtract from it directly, and call `settle` only if
    the tokens may not suffice.

    Several connections of one user may wait for tokens of the same bucket. They share what comes, and no connection has
    to know the others.

    Args:
        quota: the rate, above 0, and the burst.
        now: seconds of a monotonic clock.

    Attributes:
        quota: as given; it may be replaced at any time.
        left: whole tokens left, always an int, which is cheap to compare; a negative number is a debt.
        waiting: number of connections that wait for tokens.
    """

    __slots__ = ("_debt", "_filled", "_part", "left", "quota", "waiting")

    def __init__(self, quota: Rate, now: float) -> None:
        self.quota = quota
        self._filled = now
        self._debt = 0.0  # at the last call of `settle`
        self.left = math.floor(quota.burst)
        self._part = quota.burst - self.left  # of the next token
        self.waiting = 0

    def __repr__(self) -> str:
        return f"<TokenBucket {self.quota.per_second}/s left={self.left} of {self.quota.burst}>"

    def settle(self, now: float) -> float:
        """Add the tokens since the last call; return the seconds until the debt is paid, 0 for no debt.

        At most the debt plus one burst is added between two calls. So a bucket that is settled only when its tokens do
        not suffice allows at most two bursts at once, and keeps to the rate over any longer time.
        """
        rate, burst = self.quota.per_second, self.quota.burst
        earned = min((now - self._filled) * rate, self._debt + burst)
        self._filled = now
        level = min(burst, self.left + self._part + earned)
        self.left = math.floor(level)
        self._part = level - self.left
        self._debt = max(0.0, -level)
        return self._debt / rate

    def take(self, now: float) -> float:
        """Take one token; return 0, or the seconds until there is one to take."""
        self.settle(now)
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left - self._part) / self.quota.per_second

    # For connections that wait.

    def share(self, now: float) -> int:
        """Return how many tokens one of the waiting connections may take now: its part, but at least one if there is one."""
        self.settle(now)
        return max(1, self.left // self.waiting) if self.left >= 1 else 0

    def within(self, seconds: float) -> int:
        """Return how many tokens each waiting connection gets within so many seconds."""
        return int(seconds * self.quota.per_second / self.waiting)

    def next_turn(self, wanted: int, share: int = 1) -> float:
        """Return the seconds until a waiting connection should ask for its share again.

        One that just got tokens leaves as many to each of the others. But it never waits until the bucket overflows.

        Args:
            wanted: number of tokens that it still wants.
            share: its last share; 0 if there was no token.
        """
        rate, burst = self.quota.per_second, self.quota.burst
        needed = 1.0
        if share:
            tokens = max(1, min(wanted, self.within(TURN_SECONDS)))
            needed = min(tokens * self.waiting, max(burst, self.waiting))
        return max(0.0, needed - self.left - self._part) / rate


class Buckets:
    """Token buckets by key; beyond `max_keys` the least recently used one is evicted."""

    __slots__ = ("_buckets", "_max_keys")

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Buckets keys={len(self._buckets)}>"

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self._buckets)

    def bucket(self, key: str, quota: Rate, now: float) -> TokenBucket | None:
        """Return the bucket of `key`, which is full if it is new; None if there is no limit."""
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
