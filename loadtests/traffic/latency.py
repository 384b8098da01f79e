"""Latency at a fixed rate, of the gateway and, message by message, of the backend alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from loadtests.traffic.connecting import close_all, connect_all
from loadtests.traffic.connection import PATIENCE_SECONDS, Traffic
from loadtests.traffic.job import Target
from loadtests.traffic.meter import Meter
from loadtests.traffic.percentiles import percentiles
from loadtests.traffic.results import FixedRate
from loadtests.traffic.schedule import Schedule, Timed

COMPANIONS: Final = 10
"""One connection in so many has a companion, which sends the same straight to the backend in the next moment."""

WARM_UP_SECONDS: Final = 1.0
"""Traffic before the window, at most as long as the window itself; each connection sends at least once in it."""


async def measure(
    target: Target, *, size: int, rate: float, seconds: float, patience: float = PATIENCE_SECONDS
) -> FixedRate:
    """Measure how long messages take.

    Args:
        target: what the load goes to.
        size: of a message, in bytes.
        rate: messages a second of each connection.
        seconds: length of the window.
        patience: seconds after the window within which the last echoes must have come.

    Raises:
        LoadError: a connection failed, or a message was lost.
        ProcessGoneError: the gateway or the backend died.
    """
    traffic = Traffic()
    companions = await connect_all(
        replace(target, url=target.direct_url, headers=[{}] * -(-len(target.headers) // COMPANIONS)),
        lambda number: Timed(traffic, len(target.headers) + number, size),
    )
    connections = await connect_all(target, lambda number: Timed(traffic, number, size))
    traffic.check()
    gc.collect()
    gc.disable()  # the load must not pause on its own account
    schedule = Schedule(list(_in_turn(connections, companions)), rate)
    warm_up = max(1, round(rate * min(WARM_UP_SECONDS, seconds)))
    await schedule.run(warm_up, traffic)
    meter = Meter(target)
    await schedule.run(max(1, round(rate * seconds)), traffic)
    await traffic.last_echoes(patience)
    window = meter.lap()
    result = FixedRate(
        window=window,
        count=sum(len(connection.latencies) - warm_up for connection in connections),
        latency=percentiles(latency for each in connections for latency in each.latencies[warm_up:]),
        paired=percentiles(differences(connections[::COMPANIONS], companions, warm_up)),
        lateness=percentiles(late for each in connections for late in each.lateness[warm_up:]),
    )
    await close_all([*connections, *companions], traffic)
    return result


def _in_turn(connections: Sequence[Timed], companions: Sequence[Timed]) -> Iterator[Timed]:
    for number, connection in enumerate(connections):
        yield connection
        if number % COMPANIONS == 0:
            yield companions[number // COMPANIONS]


def differences(through: Sequence[Timed], straight: Sequence[Timed], warm_up: int) -> Iterator[float]:
    """Return how much longer each message took through the gateway, from when it was sent."""
    for connection, companion in zip(through, straight, strict=True):
        own, other = (
            [latency - late for latency, late in zip(each.latencies, each.lateness, strict=True)]
            for each in (connection, companion)
        )
        yield from (mine - its for mine, its in zip(own[warm_up:], other[warm_up:], strict=True))
