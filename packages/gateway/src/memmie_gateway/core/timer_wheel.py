"""A timer wheel: many times, each with a key, at a small and bounded cost.

The wheel has a fixed number of slots. Each slot has the keys of one tick, and also those of the same tick of later turns
of the wheel. To schedule or cancel a key costs one look-up, and the wheel keeps nothing of a cancelled key. A time in
the far future costs one look in each turn. One asyncio timer serves all keys (see `net.sessions.leases`).
"""

from __future__ import annotations

import itertools
import math
from typing import Generic, TypeVar

K = TypeVar("K")


class TimerWheel(Generic[K]):
    """Keys with a time, in seconds of any clock; the clock may be set forward and back.

    Args:
        tick: seconds of one slot, above 0.
        slots: number of slots.
        now: the time.
    """

    __slots__ = ("_next", "_size", "_slot_of", "_slots", "_tick")

    def __init__(self, *, tick: float, slots: int, now: float) -> None:
        self._tick = tick
        self._size = slots
        self._slots: list[dict[K, float]] = [{} for _ in range(slots)]
        self._slot_of: dict[K, dict[K, float]] = {}
        self._next = int(now // tick)  # the first tick that `due` has not finished

    def __repr__(self) -> str:
        return f"<TimerWheel {len(self)}>"

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._slot_of)

    def schedule(self, key: K, when: float) -> None:
        """Set the time of a key, in place of an earlier one; with an infinite time it is never due."""
        if key in self._slot_of:
            self.cancel(key)
        if math.isfinite(when):
            tick = max(int(when // self._tick), self._next)  # a time in the past is due next
            slot = self._slots[tick % self._size]
            slot[key] = when
            self._slot_of[key] = slot

    def cancel(self, key: K) -> None:
        """Forget a key; an unknown one is ignored."""
        slot = self._slot_of.pop(key, None)
        if slot is not None:
            del slot[key]

    def due(self, now: float, most: int) -> list[K]:
        """Return the keys whose time has come, and forget them.

        Args:
            now: the time.
            most: maximum number of keys; the next call returns the rest.
        """
        tick, size = int(now // self._tick), self._size
        if tick < self._next:
            self._set_back(tick)
        elif tick - self._next >= size:  # a whole turn has passed, or the clock was set forward
            self._next = tick - size + 1
        found: list[K] = []
        for index in range(self._next, tick + 1):
            self._next = index
            slot = self._slots[index % size]
            found += itertools.islice((key for key, when in slot.items() if when <= now), most - len(found))
            if len(found) == most:
                break  # this slot may have more of them
        for key in found:
            self.cancel(key)
        return found

    def _set_back(self, tick: int) -> None:
        """Sort all keys anew, because the clock was set back, so times that seemed to be in the past may be yet to come."""
        times = [known for slot in self._slots for known in slot.items()]
        self._next = tick
        for key, when in times:
            self.schedule(key, when)
