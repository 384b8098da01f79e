"""A timer that is exact to some microseconds; the timers of an event loop are exact to a millisecond.

Python's `os.timerfd_create` came with 3.13; before that, it takes a call into the C library (timerfd_create(2)).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

_NANOSECONDS: Final = 1_000_000_000
_ABSOLUTE_TIME: Final = 1
"""TFD_TIMER_ABSTIME."""

_TICK_BYTES: Final = 8
"""What reading the timer returns: how often it has expired, a 64-bit integer."""


@contextlib.contextmanager
def ticking(first: float, interval: float, on_tick: Callable[[], None]) -> Iterator[None]:
    """Call `on_tick` again and again for the length of the block, from the running event loop.

    Ticks that come due while the loop is busy are one call: `on_tick` has to look at the clock itself.

    Args:
        first: when to begin (`time.monotonic`, which on Linux is `time.perf_counter`, too).
        interval: seconds from one call to the next.
        on_tick: what to call.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    loop = asyncio.get_running_loop()

    def tick() -> None:
        os.read(timer, _TICK_BYTES)
        on_tick()

    try:
        # A struct itimerspec: seconds and nanoseconds of the interval, then of the first tick.
        spec = (ctypes.c_long * 4)(*_split(interval), *_split(first))
        if libc.timerfd_settime(timer, _ABSOLUTE_TIME, spec, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        loop.add_reader(timer, tick)
        yield
    finally:
        loop.remove_reader(timer)
        os.close(timer)


def _split(seconds: float) -> tuple[int, int]:
    return divmod(max(1, round(seconds * _NANOSECONDS)), _NANOSECONDS)
