"""What stops the next thousand connections: which of its supplies a gateway would use up first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtests.benchmark.rows import Record
from loadtests.traffic.results import Hold

SIDES: Final = 2
"""Open files of a connection: the client's and the Studio's."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Something that connections use up.

    Attributes:
        connections: how many there can be before it is used up.
        what: it is, and where to get more.
    """

    connections: int
    what: str


def supplies(held: Hold) -> list[Supply]:
    """Return what a gateway that holds connections uses up, the scarcest first; nothing where there is no gateway."""
    if not held.open_files_limit:
        return []
    per_connection = max(1.0, (held.rss_held - held.rss_before) / held.connections)
    other_files = held.open_files - SIDES * held.connections
    core_share = max(held.window.gateway, 1e-9) / held.window.seconds
    return sorted(
        [
            Supply(
                (held.open_files_limit - other_files) // SIDES,
                f"open files: {held.open_files_limit:,} allowed (ulimit -n, LimitNOFILE=, or its own setting)",
            ),
            Supply(
                held.ports,
                "ports towards one Studio's address (net.ipv4.ip_local_port_range; another Studio has as many again)",
            ),
            Supply(
                held.connections + int(held.memory_available / per_connection),
                f"memory: {held.memory_available / 2**30:.1f} GiB available (the kernel's for sockets comes on top of its own)",
            ),
            Supply(
                int(held.connections / core_share),
                "the gateway's core, at a message a second each (more messages, fewer connections)",
            ),
        ],
        key=lambda supply: supply.connections,
    )


def room(record: Record) -> list[str]:
    """Tell of every peer that held connections what it would use up first."""
    return [
        f"{peer} holds {held.connections:,}; next to run out: "
        + "; ".join(f"at {supply.connections:,} {supply.what}" for supply in supplies(held))
        for case in record.cases("hold")
        for peer in record.peers
        for held in record.of(case, peer).values()
        if supplies(held)
    ]
