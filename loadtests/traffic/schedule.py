"""Messages at times that are fixed beforehand (an open loop): a slow gateway does not slow down its load.

A message's latency counts from the time it was due, not from when it was sent. If the gateway stops for a while, all
messages that were due meanwhile show it, and not only one for each connection (coordinated omission in a closed loop).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from loadtests.traffic.connection import Connection, Traffic

_NANOSECONDS: Final = 1_000_000_000
_ABSOLUTE_TIME: Final = 1
"""TFD_TIMER_ABSTIME."""

_TICK_BYTES: Final = 8
"""What reading the timer returns: how often it has expired, a 64-bit integer."""


class Timed(Connection):
    """Keeps the times of its messages, in their order."""

    def __init__(self, traffic: Traffic, number: int, size: int) -> None:
        super().__init__(traffic, number, size)
        self.latencies = array("d")  # seconds from when a message was due to its echo
        self.lateness = array("d")  # seconds from when a message was due until it was sent

    def send(self, due: float) -> None:
        """Send the next message, and keep how late it is."""
        self.lateness.append(time.perf_counter() - due)
        super().send(due)

    def echoed(self, seconds: float) -> None:
        """Keep the latency."""
        self.latencies.append(seconds)


class Schedule:
    """Connections that send in turn, evenly spread over time.

    Args:
        connections: in the order of their turns.
        rate: messages a second of each connection.
    """

    def __init__(self, connections: Sequence[Connection], rate: float) -> None:
        self._connections = connections
        self._interval = 1 / (rate * len(connections))
        self._start = 0.0
        self._turn = 0
        self._end = 0

    async def run(self, turns: int, traffic: Traffic) -> None:
        """Have every connection send that many messages; return when the last one is sent.

        A further run continues in the same rhythm.

        Raises:
            LoadTestError: a connection failed.
        """
        if not self._turn:
            self._start = time.perf_counter() + self._interval
        self._end += turns * len(self._connections)
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def send_what_is_due() -> None:
            if self._send_until(time.perf_counter()) and not sent.done():
                sent.set_result(None)

        with ticking(self._due(), self._interval, send_what_is_due):
            await asyncio.wait({sent, traffic.failure}, return_when=asyncio.FIRST_COMPLETED)
        traffic.check()

    def _due(self) -> float:
        """Return when the next message is due."""
        return self._start + self._turn * self._interval

    def _send_until(self, now: float) -> bool:
        """Send every message that is due; return whether no more are to come."""
        connections = self._connections
        while self._turn < self._end:
            due = self._due()
            if due > now:
                return False
            connections[self._turn % len(connections)].send(due)
            self._turn += 1
        return True


@contextlib.contextmanager
def ticking(first: float, interval: float, on_tick: Callable[[], None]) -> Iterator[None]:
    """Call `on_tick` again and again for the length of the block, from the running event loop, exact to some microseconds.

    The timers of an event loop are exact to a millisecond. Python's `os.timerfd_create` came with 3.13; before that, it
    takes a call into the C library (timerfd_create(2)).

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
