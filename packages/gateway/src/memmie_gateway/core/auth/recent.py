"""A store of limited size, in which each value has an end, and the oldest makes room for a new one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class RecentStore(Generic[T]):
    """The most recently stored values by key; storing and finding one costs about as much as in a dict.

    Args:
        size: maximum number of values.
    """

    __slots__ = ("_size", "_values")

    def __init__(self, size: int) -> None:
        self._size = size
        # With their ends; the last one was stored last. For the type, see `core.oldest`.
        self._values: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<RecentStore {len(self._values)} of {self._size}>"

    def count(self, now: float) -> int:
        """Return the number of values, without those that have ended before the oldest that has not."""
        self._drop_ended(now)
        return len(self._values)

    def get(self, key: bytes, now: float) -> T | None:
        """Return a value, or None if there is none or it has ended."""
        found = self._values.get(key)
        return found[0] if found is not None and now < found[1] else None

    def put(self, key: bytes, value: T, *, until: float, now: float) -> None:
        """Store a value in place of an earlier one."""
        self._values.pop(key, None)
        self._drop_ended(now)
        if until > now:
            if len(self._values) >= self._size:
                self._values.popitem(last=False)
            self._values[key] = value, until

    def drop(self, key: bytes) -> None:
        """Forget a value, if there is one."""
        self._values.pop(key, None)

    def _drop_ended(self, now: float) -> None:
        while self._values:
            oldest = next(iter(self._values))
            if now < self._values[oldest][1]:
                break
            del self._values[oldest]
