"""Whether numbers can be believed: latencies of a load that is late itself, and rates at which no core was full."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from loadtests.benchmark.figure import load_share
from loadtests.benchmark.rows import Record
from loadtests.common.machine import Cores
from loadtests.traffic.results import Span

LATE_SECONDS: Final = 1e-3
"""A load whose messages go out later than this (99th percentile) had to wait for other work on its core."""

IDLE: Final = 0.85
"""A closed loop fills the gateway's core or the load's; where both are less busy than this, something else stopped it."""


def noise(record: Record) -> list[str]:
    """Tell what was measured on a machine that was busy with something else."""
    return [*_late(record), *_idle(record)]


def _late(record: Record) -> Iterator[str]:
    for case in record.cases("latency"):
        late = {
            peer: statistics.median(row.lateness.p99 for row in rows.values())
            for peer in record.peers
            if (rows := record.of(case, peer))
        }
        if words := [f"{peer} {1e3 * p99:.1f}" for peer, p99 in late.items() if p99 > LATE_SECONDS]:
            yield (
                f"latency {case}: the load itself was late (p99 ms {', '.join(words)}), so p99 is the machine's: "
                "other work on it has to end first"
            )


def _idle(record: Record) -> Iterator[str]:
    for case in record.cases("round-trips"):
        idle = [
            peer
            for peer in record.peers
            if (rows := record.of(case, peer))
            and max(_fullest(record.cores, row.window) for row in rows.values()) < IDLE
        ]
        if idle:
            yield (
                f"round trips/s {case}: neither the gateway's core nor the load's was full ({', '.join(idle)}): "
                "other work on the machine, or too few connections; the CPU per round trip holds"
            )


def _fullest(cores: Cores, span: Span) -> float:
    return max(span.gateway / span.seconds, load_share(cores, span))
