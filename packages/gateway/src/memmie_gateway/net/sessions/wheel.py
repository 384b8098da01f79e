"""A timer wheel that turns by itself: one timer of the event loop serves all its keys.

A timer of its own would take 600 bytes of memory for each session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from memmie_gateway.core.timer_wheel import TimerWheel

K = TypeVar("K", bound=Hashable)

SLOTS: Final = 256

AT_ONCE: Final = 4
"""Number of calls after which the wheel looks at the time."""

TURN_SECONDS: Final = 0.001
"""Time after which a turn ends, even if more keys are due: so long may messages have to wait for it."""

PAUSE_SECONDS: Final = 0.004
"""Seconds until the next turn then; the wheel so takes a fifth of the event loop's time at most."""


class Wheel(Generic[K]):
    """Calls a function for each key when its time has come, at most one tick late.

    Args:
        call: called with each key that is due, which is forgotten before; it may schedule keys, also the same one.
        clock: returns the time in seconds, in which the times of keys are given.
        tick: seconds between two turns.
    """

    def __init__(self, call: Callable[[K], object], clock: Callable[[], float], *, tick: float) -> None:
        self._call = call
        self._clock = clock
        self._tick = tick
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
            self._turn_again_after(self._tick)

    def cancel(self, key: K) -> None:
        """Forget a key; an unknown one is ignored."""
        self._keys.cancel(key)

    def stop(self) -> None:
        """Call nothing more, until a key is scheduled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def turn(self) -> None:
        """Call the function for the keys that are due now, and turn again after a tick, or a pause if time is over."""
        self._turn_again_after(self._tick)  # before the calls, because they may schedule keys
        now = self._clock()
        end = time.perf_counter() + TURN_SECONDS
        while due := self._keys.due(now, AT_ONCE):
            for key in due:
                self._call_for(key)
            if time.perf_counter() >= end:
                self._turn_again_after(PAUSE_SECONDS)
                break
        if not len(self._keys):
            self.stop()

    def _turn_again_after(self, seconds: float) -> None:
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.turn)

    def _call_for(self, key: K) -> None:
        try:
            self._call(key)
        except Exception as error:  # noqa: BLE001 - a bug with one key must not stop the wheel for all others
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a call that was due has failed", "exception": error})
