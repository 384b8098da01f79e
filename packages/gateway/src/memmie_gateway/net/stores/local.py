"""Slots and rates that are counted in this process, so every gateway has its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from memmie_gateway.core.limits import Buckets, Rate, SlotCounts, TokenBucket
from memmie_gateway.net.clock import loop_time

MAX_REMEMBERED_RATES: Final = 100_000
"""Maximum number of keys of one kind with a stored rate, such as addresses or users."""


class LocalSlot:
    """An acquired slot."""

    __slots__ = ("_counts", "_held", "_key")

    def __init__(self, counts: SlotCounts, key: str) -> None:
        self._counts = counts
        self._key = key
        self._held = True

    def release(self) -> None:
        """Release the slot; a second call does nothing."""
        if self._held:
            self._held = False
            self._counts.release(self._key)

    def retake(self) -> None:
        """Take a released slot again, even if this exceeds the limit."""
        if not self._held:
            self._held = self._counts.acquire(self._key, 0)


class LocalSlots:
    """Limits the number of concurrent connections for each key."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = SlotCounts()

    def __repr__(self) -> str:
        return f"<LocalSlots {self._counts!r}>"

    def acquire(self, key: str, limit: int) -> LocalSlot | None:
        """Acquire a slot, or return None if `limit` slots of `key` are in use; 0 means no limit."""
        return LocalSlot(self._counts, key) if self._counts.acquire(key, limit) else None


class LocalRates:
    """Limits the rate for each key.

    Args:
        max_keys: maximum number of keys; beyond it, the least recently used one is evicted.
        clock: returns the loop's time in seconds.
    """

    __slots__ = ("_buckets", "_clock")

    def __init__(self, max_keys: int, clock: Callable[[], float] = loop_time) -> None:
        self._buckets = Buckets(max_keys)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<LocalRates {self._buckets!r}>"

    def take(self, key: str, quota: Rate) -> float:
        """Take one token of `key`; return 0, or the seconds until there is one to take."""
        return self._buckets.take(key, quota, self._clock())

    def bucket(self, key: str, quota: Rate) -> TokenBucket | None:
        """Return the bucket of `key`; None if there is no limit."""
        return self._buckets.bucket(key, quota, self._clock())
