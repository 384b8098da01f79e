"""Connecting and closing again, a few at a time: what letting somebody in costs the gateway."""

from __future__ import annotations

import time
from dataclasses import replace

from loadtests.traffic.connection import AT_ONCE, Loop, close_all, connect_all
from loadtests.traffic.job import Connects, Target
from loadtests.traffic.usage import cpu_seconds


async def measure(target: Target) -> Connects:
    """Connect and close once with each of the target's headers.

    Raises:
        LoadError: a connection failed.
        ProcessGoneError: the gateway died.
    """
    loop = Loop()
    started = time.perf_counter()
    cpu = cpu_seconds(target.gateway_pids)
    for first in range(0, len(target.headers), AT_ONCE):
        batch = replace(target, headers=target.headers[first : first + AT_ONCE])
        await close_all(await connect_all(loop, batch))
    return Connects(
        count=len(target.headers),
        seconds=time.perf_counter() - started,
        gateway_cpu_seconds=cpu_seconds(target.gateway_pids) - cpu,
    )
