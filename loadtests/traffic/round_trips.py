"""Messages in a closed loop: each connection sends its next message when the echo of the last has arrived."""

from __future__ import annotations

import asyncio
import gc
import time
from array import array
from typing import Any, Final

from loadtests.traffic.connection import Connection, Loop, close_all, connect_all
from loadtests.traffic.job import LoadError, RoundTrips, Target
from loadtests.traffic.usage import cpu_seconds

WARM_UP_SECONDS: Final = 0.5
"""Traffic before the window, at most as long as the window itself."""

PATIENCE_SECONDS: Final = 10.0
"""How long after the window an echo may arrive before its message counts as lost."""


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
    connections = await connect_all(loop, target, size)
    gc.collect()
    gc.disable()  # the load must not pause on its own account
    loop.going = True
    for connection in connections:
        connection.send()
    await loop.run(min(WARM_UP_SECONDS, seconds))
    result = await _window(loop, target, connections, size, seconds)
    await _last_echoes(loop, patience)
    await close_all(connections)
    return result


async def _window(
    loop: Loop, target: Target, connections: list[Connection], size: int, seconds: float
) -> RoundTrips:
    loop.latencies = array("d")
    started = time.perf_counter()
    gateway, backend, load = _cpu(target)
    await loop.run(seconds)
    gateway_after, backend_after, load_after = _cpu(target)
    ended = time.perf_counter()
    latencies, loop.latencies = sorted(loop.latencies), array("d")
    if not latencies:
        raise LoadError(f"no echo arrived in {seconds:g} s")
    return RoundTrips(
        connections=len(connections),
        size=size,
        seconds=ended - started,
        count=len(latencies),
        gateway_cpu_seconds=gateway_after - gateway,
        backend_cpu_seconds=backend_after - backend,
        load_cpu_seconds=load_after - load,
        p50_seconds=latencies[len(latencies) // 2],
        p99_seconds=latencies[len(latencies) * 99 // 100],
    )


def _cpu(target: Target) -> tuple[float, float, float]:
    return cpu_seconds(target.gateway_pids), cpu_seconds(target.backend_pids), time.process_time()


async def _last_echoes(loop: Loop, patience: float) -> None:
    loop.going = False
    quiet = asyncio.ensure_future(loop.quiet.wait())
    either: set[asyncio.Future[Any]] = {quiet, loop.failure}
    await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    quiet.cancel()
    loop.check()
    if loop.awaited:
        raise LoadError(
            f"messages lost: {loop.awaited}, whose echo did not come within {patience:g} s of the window's end"
        )
