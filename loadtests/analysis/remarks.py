"""What else the numbers say: whether they can be believed, and what a gateway that holds many connections exhausts next."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from loadtests.analysis.cells import load_share
from loadtests.analysis.measurements import Record
from loadtests.traffic.results import Hold

LATE_SECONDS: Final = 1e-3
"""A load whose messages go out later than this (99th percentile) had to wait for other work on its core."""

IDLE: Final = 0.85
"""A closed loop fills the gateway's core or the load's; if both are less busy than this, something else stopped it."""

SIDES: Final = 2
"""Open files of a connection: the client's and the Studio's."""


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


def headroom(record: Record) -> list[str]:
    """Return a line for every peer that held connections: what it would exhaust next."""
    return [
        f"{peer} holds {held.connections:,}; next to run out: "
        + "; ".join(f"at {connections:,} {what}" for connections, what in found)
        for case in record.cases("hold")
        for peer in record.peers
        for held in record.of(case, peer).values()
        if (found := resources(held))
    ]


def resources(held: Hold) -> list[tuple[int, str]]:
    """Return at how many connections each resource is exhausted, and what it is, the scarcest first; [] without a gateway."""
    if not held.open_files_limit:
        return []
    per_connection = max(1.0, (held.rss_held - held.rss_before) / held.connections)
    other_files = held.open_files - SIDES * held.connections
    core_share = max(held.window.gateway, 1e-9) / held.window.seconds
    limits = {
        f"open files: {held.open_files_limit:,} allowed (ulimit -n, LimitNOFILE=, or its own setting)":
            (held.open_files_limit - other_files) // SIDES,
        "ports towards one Studio's address (net.ipv4.ip_local_port_range; another Studio has as many again)":
            held.ports,
        f"memory: {held.memory_available / 2**30:.1f} GiB available (the kernel's socket buffers need more)":
            held.connections + int(held.memory_available / per_connection),
        "the gateway's core, at a message a second each (more messages, fewer connections)":
            int(held.connections / core_share),
    }  # fmt: skip
    return sorted((connections, what) for what, connections in limits.items())
