"""Time-outs of the same length, for which one timer of the event loop is enough.

They end in the order in which they began, so the timer is only for the first one. A timer for each of them would take
three times as much CPU.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Generic, TypeVar

from memmie_gateway.net.clock import SHORTEST_WAIT, Clock

K = TypeVar("K")


class Timeouts(Generic[K]):
    """Calls a function for each key that has not been stopped within a time, in which pauses of this process do not count.

    Args:
        seconds: the time.
        late: called with each key whose time is over, which is forgotten before; it may start it again.
        clock: tells the time.
    """

    __slots__ = ("_clock", "_late", "_seconds", "_timer", "_until")

    def __init__(self, seconds: float, late: Callable[[K], object], clock: Clock) -> None:
        self._seconds = seconds
        self._late = late
        self._clock = clock
        self._until: dict[K, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Timeouts {len(self._until)} of {self._seconds:g} s>"

    def start(self, key: K) -> None:
        """Start the time-out of a key that has none."""
        self._until[key] = self._clock.time() + self._seconds
        if self._timer is None:
            self._timer = self._clock.loop().call_later(self._seconds, self._look)

    def stop(self, key: K) -> None:
        """Forget a key; an unknown one is ignored."""
        self._until.pop(key, None)

    def _look(self) -> None:
        """Call the function for the keys that are late, and look again when the next one is due."""
        now = self._clock.time()
        late = []
        wait = 0.0
        for key, until in self._until.items():
            wait = until - now
            if wait > 0:
                break
            late.append(key)
        loop = self._clock.loop()
        # Before the calls, because they may start keys.
        self._timer = loop.call_later(max(wait, SHORTEST_WAIT), self._look) if wait > 0 else None
        for key in late:
            if self._until.get(key, math.inf) > now:  # an earlier call has stopped it
                continue
            del self._until[key]
            try:
                self._late(key)
            except Exception as error:  # noqa: BLE001 - a bug with one key must not stop the time-outs of all others
                loop.call_exception_handler({"message": "a time-out has failed", "exception": error})
