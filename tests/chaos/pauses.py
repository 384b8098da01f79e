"""The pauses of the run itself: when its event loop was late, and by how much.

Clients and relays live in the process of the run. While it does not get the processor, or is busy, nothing passes
between anybody, so a limit in seconds would judge the machine instead of the gateway. Each such limit is therefore
longer by the pauses in its time.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from typing import Final

TICK_SECONDS: Final = 0.05
"""Between two looks at the clock."""

LEAST_SECONDS: Final = 0.02
"""A shorter pause is not counted."""


class Pauses:
    """Remembers pauses, and adds up those in any stretch of time.

    Attributes:
        longest: seconds of the longest pause; 0 if there was none.
    """

    def __init__(self) -> None:
        self._began: list[float] = []
        self._ended: list[float] = []
        self._sums = [0.0]  # seconds of the first n pauses
        self.longest = 0.0

    def __repr__(self) -> str:
        return f"<Pauses {len(self._ended)}, {self.total:.2f} s>"

    async def watch(self) -> None:
        """Take note of every pause; until cancelled."""
        while True:
            due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            if now - due >= LEAST_SECONDS:
                self.add(due, now)

    def add(self, began: float, ended: float) -> None:
        """Take note of one pause, which is later than all others."""
        self._began.append(began)
        self._ended.append(ended)
        self._sums.append(self._sums[-1] + ended - began)
        self.longest = max(self.longest, ended - began)

    def within(self, since: float, until: float) -> float:
        """Return the seconds of pause between two times; 0 if the first one is later."""
        return max(0.0, self._before(until) - self._before(since))

    @property
    def total(self) -> float:
        """Seconds of pause in all."""
        return self._sums[-1]

    def _before(self, at: float) -> float:
        whole = bisect_right(self._ended, at)
        begun = at - self._began[whole] if whole < len(self._began) else 0.0
        return self._sums[whole] + max(0.0, begun)


NO_PAUSES: Final = Pauses()
"""Those of a quiet machine."""
