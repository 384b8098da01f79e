"""Messages in a closed loop: each connection sends its next message when the echo of the last has arrived."""

from __future__ import annotations

import gc
import time
from array import array
from typing import Final

from loadtests.traffic.connecting import close_all, connect_all
from loadtests.traffic.connection import PATIENCE_SECONDS, Connection, Traffic
from loadtests.traffic.job import LoadError, Target
from loadtests.traffic.meter import Meter
from loadtests.traffic.percentiles import percentiles
from loadtests.traffic.results import RoundTrips

WARM_UP_SECONDS: Final = 0.5
"""Traffic before the window, at most as long as the window itself."""


class Loop(Traffic):
    """A closed loop.

    Attributes:
        going: an echo is followed by the next message.
        latencies: seconds from each message to its echo.
    """

    def __init__(self) -> None:
        super().__init__()
        self.going = True
        self.latencies = array("d")


class Looping(Connection):
    """Sends its next message when the echo of the last has arrived."""

    _traffic: Loop

    def echoed(self, seconds: float) -> None:
        """Go on."""
        self._traffic.latencies.append(seconds)
        if self._traffic.going:
            self.send(time.perf_counter())


async def measure(
    target: Target, *, size: int, seconds: float, patience: float = PATIENCE_SECONDS
) -> RoundTrips:
    """Measure what round trips cost.

    Args:
        target: what the load goes to.
        size: of a message, in bytes.
        seconds: length of the window.
        patience: seconds after the window within which the last echoes must have come.

    Raises:
        LoadError: a connection failed, or a message was lost.
        ProcessGoneError: the gateway or the backend died.
    """
    loop = Loop()
    connections = await connect_all(target, lambda number: Looping(loop, number, size))
    loop.check()
    gc.collect()
    gc.disable()  # the load must not pause on its own account
    for connection in connections:
        connection.send(time.perf_counter())
    await loop.run(min(WARM_UP_SECONDS, seconds))
    result = await _window(loop, Meter(target), seconds)
    loop.going = False
    await loop.last_echoes(patience)
    await close_all(connections, loop)
    return result


async def _window(loop: Loop, meter: Meter, seconds: float) -> RoundTrips:
    loop.latencies = array("d")
    await loop.run(seconds)
    window = meter.lap()
    latencies, loop.latencies = loop.latencies, array("d")
    if not latencies:
        raise LoadError(f"no echo arrived in {seconds:g} s")
    return RoundTrips(window=window, count=len(latencies), latency=percentiles(latencies))
