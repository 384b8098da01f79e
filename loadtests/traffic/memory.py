"""What connections take in the gateway's memory, before and after they are used."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from loadtests.common.usage import rss_bytes
from loadtests.traffic.connecting import close_all, connect_all
from loadtests.traffic.connection import Connection, Traffic
from loadtests.traffic.job import Target
from loadtests.traffic.results import Memory

MESSAGES: Final = 10
"""How many messages each connection carries to be called busy."""


async def rss_before(target: Target) -> int:
    """Return the gateway's resident memory with one connection made and closed: what is loaded on first use is there.

    Raises:
        LoadError: the connection failed.
        ProcessGoneError: the gateway died.
    """
    traffic = Traffic()
    first = replace(target, headers=target.headers[:1])
    await close_all(await connect_all(first, lambda number: Connection(traffic, number)), traffic)
    return rss_bytes(target.gateway_pids)


async def measure(target: Target, *, size: int) -> Memory:
    """Measure the gateway's memory before and after connecting, and after messages on every connection.

    Args:
        target: what the load goes to.
        size: of a message, in bytes.

    Raises:
        LoadError: a connection failed, or a message was lost.
        ProcessGoneError: the gateway died.
    """
    before = await rss_before(target)
    traffic = Traffic()
    connections = await connect_all(target, lambda number: Connection(traffic, number, size))
    traffic.check()
    idle = rss_bytes(target.gateway_pids)
    for _ in range(MESSAGES):
        for connection in connections:
            connection.send(time.perf_counter())
        await traffic.last_echoes()
    busy = rss_bytes(target.gateway_pids)
    await close_all(connections, traffic)
    return Memory(connections=len(connections), rss_before=before, rss_idle=idle, rss_busy=busy)
