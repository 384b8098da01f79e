"""Clocks for tests that a busy machine must not make fail: one that a test puts forward, and one for waiting alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch


class Clock:
    """The clock of a running event loop, which goes on as ever besides."""

    def __init__(self) -> None:
        self._true = asyncio.get_running_loop().time
        self._ahead = 0.0

    def time(self) -> float:
        """Return what the loop takes for the time."""
        return self._true() + self._ahead

    def put_forward(self, seconds: float) -> None:
        """Let so many seconds be over: timers that end in them end in the loop's next turn."""
        self._ahead += seconds


@contextlib.contextmanager
def loop_clock() -> Iterator[Clock]:
    """Give this loop's clock into a test's hands for the length of the block."""
    clock = Clock()
    with patch.object(asyncio.get_running_loop(), "time", clock.time):
        yield clock


_TURN = 1e-6
"""Seconds that a turn of the loop takes on a `waiting_clock`; otherwise who waits for a nanosecond waits for ever."""


@contextlib.contextmanager
def waiting_clock() -> Iterator[None]:
    """Let this loop's time pass only while the loop waits, for the length of the block; work takes next to no time.

    What is measured is then how long the gateway lets others wait, and not how busy the machine is.
    Everything must run on this loop, which must be asyncio's own: what other processes do takes no time either.
    """
    loop: Any = asyncio.get_running_loop()
    select, now = loop._selector.select, loop.time()

    def waits(seconds: float | None) -> Any:
        nonlocal now
        began = time.monotonic()
        events = select(seconds)
        waited = max(_TURN, time.monotonic() - began)
        now += waited if seconds is None else min(waited, max(_TURN, seconds))
        return events

    with patch.object(loop, "time", lambda: now), patch.object(loop._selector, "select", waits):
        yield
