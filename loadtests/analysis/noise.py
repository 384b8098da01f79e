"""Whether the numbers can be believed: a load that was late itself, and rates at which no core was full."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from loadtests.analysis.cells import load_share
from loadtests.analysis.record import Record

LATE_SECONDS: Final = 1e-3
"""A load whose messages go out later than this (99th percentile) had to wait for other work on its core."""

IDLE: Final = 0.85
"""A closed loop fills the gateway's core or the load's; if both are less busy than this, something else stopped it."""


def noise(record: Record) -> list[str]:
    """Return a line for each measurement that other work on the machine disturbed."""
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
                "repeat the run when no other work uses the machine"
            )


def _idle(record: Record) -> Iterator[str]:
    for case in record.cases("round-trips"):
        idle = []
        for peer in record.peers:
            spans = [row.window for row in record.of(case, peer).values()]
            fullest = [max(span.gateway / span.seconds, load_share(record.cores, span)) for span in spans]
            if fullest and max(fullest) < IDLE:
                idle.append(peer)
        if idle:
            yield (
                f"round trips/s {case}: neither the gateway's core nor the load's was full ({', '.join(idle)}) because of "
                "other work on the machine, or too few connections; the CPU per round trip is still valid"
            )
