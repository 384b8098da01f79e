"""Headroom: which of its resources a gateway that holds many connections would exhaust first."""

from __future__ import annotations

from typing import Final

from loadtests.analysis.record import Record
from loadtests.traffic.results import Hold

SIDES: Final = 2
"""Open files of a connection: the client's and the Studio's."""


def resources(held: Hold) -> list[tuple[int, str]]:
    """Return at how many connections each resource is exhausted, and what it is, the scarcest first; [] without a gateway."""
    if not held.open_files_limit:
        return []
    per_connection = max(1.0, (held.rss_held - held.rss_before) / held.connections)
    other_files = held.open_files - SIDES * held.connections
    core_share = max(held.window.gateway, 1e-9) / held.window.seconds
    return sorted(
        [
            (
                (held.open_files_limit - other_files) // SIDES,
                f"open files: {held.open_files_limit:,} allowed (ulimit -n, LimitNOFILE=, or its own setting)",
            ),
            (
                held.ports,
                "ports towards one Studio's address (net.ipv4.ip_local_port_range; another Studio has as many again)",
            ),
            (
                held.connections + int(held.memory_available / per_connection),
                f"memory: {held.memory_available / 2**30:.1f} GiB available (the kernel's socket buffers need more)",
            ),
            (
                int(held.connections / core_share),
                "the gateway's core, at a message a second each (more messages, fewer connections)",
            ),
        ]
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
