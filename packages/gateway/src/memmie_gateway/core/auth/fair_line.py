"""A fixed number of places, of which no key can take more than half, and the line of those that wait for one."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairLine(Generic[T]):
    """Gives places to keys, in turn between the keys, and for each key first come, first served.

    A place is free at once for a key that has less than its share, unless all places are taken. So a key whose items
    wait because it has its share holds up no other key.

    Args:
        places: number of places, at least 1. Half of them, but at least one, is the share of a key.
    """

    __slots__ = ("_free", "_held", "_lines", "_share")

    def __init__(self, places: int) -> None:
        self._free = places
        self._share = max(1, places // 2)
        self._held: dict[str, int] = {}
        self._lines: dict[str, deque[T]] = {}  # the key whose turn is next first; no line is empty

    def __repr__(self) -> str:
        return f"<FairLine free={self._free} waiting={len(self)}>"

    def __len__(self) -> int:
        """Return the number of items that wait."""
        return sum(map(len, self._lines.values()))

    def take(self, key: str) -> bool:
        """Take a place, if there is one for this key."""
        held = self._held.get(key, 0)
        if not self._free or held >= self._share:
            return False
        self._free -= 1
        self._held[key] = held + 1
        return True

    def wait(self, key: str, item: T) -> None:
        """Put an item in the line for a place."""
        self._lines.setdefault(key, deque()).append(item)

    def leave(self, key: str, item: T) -> None:
        """Remove an item that waits."""
        line = self._lines[key]
        line.remove(item)
        if not line:
            del self._lines[key]

    def give_back(self, key: str) -> T | None:
        """Give a place back; return the item that has it from now on, or None if none waits for it."""
        self._free += 1
        held = self._held[key] - 1
        if held:
            self._held[key] = held
        else:
            del self._held[key]
        line = self._lines.pop(key, None)
        if line is not None:
            self._lines[key] = line  # it has had its turn, so others come first
        return self._next()

    def _next(self) -> T | None:
        # Few keys are skipped here: if one has its share, this is half of the places.
        for key, line in self._lines.items():
            if self.take(key):
                item = line.popleft()
                del self._lines[key]
                if line:
                    self._lines[key] = line  # behind the others
                return item
        return None
