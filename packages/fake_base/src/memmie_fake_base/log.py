"""A bounded ring of what the fake received and did, for tests to read back."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Entry = dict[str, Any]


class EventLog:
    """The newest `limit` entries, oldest first; older ones are forgotten and counted.

    Every entry has `time` (unix seconds) and `kind`; the rest depends on the kind and is JSON-serialisable.

    Attributes:
        forgotten: how many entries have been pushed out of the ring since the last `clear()`.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"log_entries: {limit} given, at least 1 allowed")
        self._entries: deque[Entry] = deque(maxlen=limit)
        self.forgotten = 0
        self._news = asyncio.Event()

    def add(self, kind: str, **details: Any) -> Entry:
        """Append an entry and return it, so that its maker can complete it (a request's status) later."""
        if len(self._entries) == self._entries.maxlen:
            self.forgotten += 1
        entry: Entry = {"time": time.time(), "kind": kind, **details}
        self._entries.append(entry)
        self._news.set()
        return entry

    def entries(self, kind: str | None = None, **details: Any) -> list[Entry]:
        """Return the entries of a kind whose details equal those given, oldest first."""
        return [
            entry
            for entry in self._entries
            if (kind is None or entry["kind"] == kind)
            and all(entry.get(name) == value for name, value in details.items())
        ]

    async def wait_for(self, kind: str, *, count: int = 1, seconds: float = 5, **details: Any) -> Entry:
        """Return the `count`-th entry that `entries(kind, **details)` finds, waiting until there is one.

        Raises:
            TimeoutError: there was none within `seconds`.
        """
        async with asyncio.timeout(seconds):
            while len(found := self.entries(kind, **details)) < count:
                self._news.clear()
                await self._news.wait()
        return found[count - 1]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))
