"""Watches the deadlines of one forwarded request, with one timer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from memmie_gateway.core.http.deadlines import Deadlines, Late
from memmie_gateway.net.clock import SHORTEST_WAIT, Clock


class Watch:
    """Calls a function when a deadline has passed, on a clock that stands still while this process does not run.

    Args:
        clock: the clock.
        deadlines: the deadlines.
        look: called before each look, to bring the deadlines up to date.
        on_late: called once, with what is late.
    """

    def __init__(
        self, clock: Clock, deadlines: Deadlines, look: Callable[[], None], on_late: Callable[[Late], None]
    ) -> None:
        self._clock = clock
        self._look = look
        self._on_late = on_late
        self._timer: asyncio.TimerHandle | None = None
        self.deadlines = deadlines

    def __repr__(self) -> str:
        return f"<Watch {self.deadlines!r}>"

    def moved(self) -> None:
        """Note that something was sent or received."""
        self.deadlines.moved = self._clock.time()

    def check(self) -> None:
        """Look whether something is late, and when to look again."""
        self.stop()
        self._look()
        now = self._clock.time()
        late = self.deadlines.late(now)
        if late is not None:
            self._on_late(late)
            return
        due = self.deadlines.next_look()
        if due < math.inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(due - now, SHORTEST_WAIT), self.check)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
