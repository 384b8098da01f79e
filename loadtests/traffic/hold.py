"""Many connections at once: each is open all the time, and each is served."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

from loadtests.common.usage import open_files, rss_bytes
from loadtests.traffic.connecting import close_all, connect_all
from loadtests.traffic.connection import Traffic
from loadtests.traffic.job import Target
from loadtests.traffic.memory import rss_before
from loadtests.traffic.meter import Meter
from loadtests.traffic.percentiles import percentiles
from loadtests.traffic.results import Hold
from loadtests.traffic.schedule import Schedule, Timed

_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


async def measure(target: Target, *, size: int, seconds: float) -> Hold:
    """Open all connections, and have each send a message a second.

    Args:
        target: what the load goes to.
        size: of a message, in bytes.
        seconds: for how long; each connection sends at least one message.

    Raises:
        LoadError: a connection failed, or a message was lost.
        ProcessGoneError: the gateway or the backend died.
    """
    before = await rss_before(target)
    traffic = Traffic()
    meter = Meter(target)
    connections = await connect_all(target, lambda number: Timed(traffic, number, size))
    opening = meter.lap()
    traffic.check()
    await Schedule(connections, rate=1).run(max(1, round(seconds)), traffic)
    await traffic.last_echoes()
    latencies = [seconds for connection in connections for seconds in connection.latencies]
    files, files_limit = open_files(target.gateway_pids)
    result = Hold(
        connections=len(connections),
        opening=opening,
        window=meter.lap(),
        count=len(latencies),
        latency=percentiles(latencies),
        rss_before=before,
        rss_held=rss_bytes(target.gateway_pids),
        open_files=files,
        open_files_limit=files_limit,
        memory_available=psutil.virtual_memory().available,
        ports=_ports(),
    )
    await close_all(connections, traffic)
    return result


def _ports() -> int:
    """Return how many connections one address can have to one address and port (ip(7), ip_local_port_range)."""
    first, last = map(int, _PORT_RANGE.read_text().split())
    return last - first + 1
