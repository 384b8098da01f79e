"""A timer wheel that turns by itself: one timer of the event loop serves all its keys.

A timer of its own would take 600 bytes of memory for each session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from memmie_gateway.core.timer_wheel import TimerWheel

K = TypeVar("K", bound=Hashable)

SLOTS: Final = 256

HURRY_SECONDS: Final = 0.01
"""Seconds until the next turn if more keys are due than one turn may take."""


class Wheel(Generic[K]):
    """Calls a function for each key when its time has come, at most one tick late.

    Args:
        call: called with each key that is due, which is forgotten before; it may schedule keys, also the same one.
        clock: returns the time in seconds, in which the times of keys are given.
        tick: seconds between two turns.
        most: maximum number of keys in one turn of the event loop.
    """

    def __init__(
        self, call: Callable[[K], object], clock: Callable[[], float], *, tick: float, most: int
    ) -> None:
        self._call = call
        self._clock = clock
        self._tick = tick
        self._most = most
        self._keys: TimerWheel[K] = TimerWheel(tick=tick, slots=SLOTS, now=0)
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return repr(self._keys)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._keys)

    def schedule(self, key: K, when: float) -> None:
        """Set the time of a key, in place of an earlier one; with an infinite time it is never due."""
        self._keys.schedule(key, when)
        if self._timer is None and len(self._keys):
            self._timer = asyncio.get_running_loop().call_later(self._tick, self.turn)

    def cancel(self, key: K) -> None:
        """Forget a key; an unknown one is ignored."""
        self._keys.cancel(key)

    def stop(self) -> None:
        """Call nothing more, until a key is scheduled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def turn(self) -> None:
        """Call the function for the keys that are due now, and turn again after a tick."""
        self.stop()
        loop = asyncio.get_running_loop()
        due = self._keys.due(self._clock(), self._most)
        # Before the calls, because they may schedule keys.
        self._timer = loop.call_later(HURRY_SECONDS if len(due) == self._most else self._tick, self.turn)
        for key in due:
            try:
                self._call(key)
            except Exception as error:  # noqa: BLE001 - a bug with one key must not stop the wheel for all others
                loop.call_exception_handler({"message": "a call that was due has failed", "exception": error})
        if not len(self._keys):
            self.stop()
