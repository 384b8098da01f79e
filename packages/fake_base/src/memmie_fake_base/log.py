"""The log of what a fake received and did, which tests read: a ring buffer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

Entry = dict[str, Any]
"""A log entry, in which every value is JSON."""


class EventLog:
    """The newest entries, oldest first; older ones are dropped and counted.

    Every entry has `time` (unix seconds) and `kind`. The other fields depend on the kind; all are JSON.

    Args:
        limit: how many entries are kept.

    Attributes:
        forgotten: how many entries were dropped since the last `clear()`.

    Raises:
        ValueError: `limit` is less than 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"log_entries: {limit} is given; allowed: 1 or more")
        self._entries: deque[Entry] = deque(maxlen=limit)
        self.forgotten = 0
        self._news = asyncio.Event()

    def add(self, kind: str, **details: Any) -> Entry:
        """Append an entry and return it; the caller may complete it later, such as with a request's status."""
        if len(self._entries) == self._entries.maxlen:
            self.forgotten += 1
        entry: Entry = {"time": time.time(), "kind": kind, **details}
        self._entries.append(entry)
        self._news.set()
        return entry

    def entries(self, kind: str | None = None, **details: Any) -> list[Entry]:
        """Return the entries of this kind (None: of any) that have these details, oldest first."""
        return [
            entry
            for entry in self._entries
            if (kind is None or entry["kind"] == kind)
            and all(entry.get(name) == value for name, value in details.items())
        ]

    async def wait_for(self, kind: str, *, count: int = 1, seconds: float = 5, **details: Any) -> Entry:
        """Wait until there are `count` matching entries, and return the last of them.

        Args:
            kind: the kind of entry.
            count: how many entries must match; 1 returns the first.
            seconds: how long to wait.
            **details: what a matching entry has, as for `entries`.

        Raises:
            TimeoutError: fewer entries matched within `seconds`.
        """
        async with asyncio.timeout(seconds):
            while len(found := self.entries(kind, **details)) < count:
                self._news.clear()
                await self._news.wait()
        return found[count - 1]

    def clear(self) -> None:
        """Remove every entry."""
        self._entries.clear()
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))
