"""What the results say: tables of medians with least and most, ratios, and everything as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Generic, TypeVar

from loadtests.benchmark.machine import Cores, describe
from loadtests.benchmark.measuring import Letting, Results, Settings
from loadtests.peers.catalogue import OURS
from loadtests.traffic.job import RoundTrips

FULL: Final = 0.95
"""Above this share of its core the load, not the gateway, is what limits the throughput."""

NOTHING: Final = "-"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sum up at least one value."""
        listed = list(values)
        return cls(statistics.median(listed), min(listed), max(listed))

    def show(self, decimals: int) -> str:
        """Write it as `median (least…most)`."""
        return f"{self.median:,.{decimals}f} ({self.least:,.{decimals}f}…{self.most:,.{decimals}f})"


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column: its title, its value in one round (None where there is none), and how exactly to show it."""

    title: str
    value: Callable[[Row], float | None]
    decimals: int

    def cell(self, rows: Sequence[Row]) -> str:
        """Sum up the rounds."""
        values = [value for row in rows if (value := self.value(row)) is not None]
        return Spread.of(values).show(self.decimals) if values else NOTHING


def cpu_per_round_trip(row: RoundTrips) -> float | None:
    """Return the gateway's CPU microseconds per round trip; None where there is no gateway."""
    return row.gateway_cpu_seconds / row.count * 1e6 if row.gateway_cpu_seconds else None


ROUND_TRIPS: Final[tuple[Column[RoundTrips], ...]] = (
    Column("gateway CPU µs/round trip", cpu_per_round_trip, 1),
    Column("round trips/s", lambda row: row.count / row.seconds, 0),
    Column("p50 ms", lambda row: row.p50_seconds * 1e3, 2),
    Column("p99 ms", lambda row: row.p99_seconds * 1e3, 2),
    Column("gateway busy %", lambda row: 100 * row.gateway_cpu_seconds / row.seconds or None, 0),
    Column("load busy %", lambda row: 100 * row.load_cpu_seconds / row.seconds, 0),
    Column("backend busy %", lambda row: 100 * row.backend_cpu_seconds / row.seconds, 0),
)

LETTING: Final[tuple[Column[Letting], ...]] = (
    Column(
        "RSS KiB/idle connection",
        lambda row: (row.idle.rss_after - row.idle.rss_before) / row.idle.connections / 1024,
        1,
    ),
    Column("CPU µs/connect, new token", lambda row: row.new.gateway_cpu_seconds / row.new.count * 1e6, 0),
    Column(
        "CPU µs/connect, known token", lambda row: row.known.gateway_cpu_seconds / row.known.count * 1e6, 0
    ),
    Column("connects/s, known token", lambda row: row.known.count / row.known.seconds, 0),
)


def show(settings: Settings, cores: Cores, results: Results) -> str:
    """Write the tables."""
    parts = [
        f"{settings.size} bytes, closed loop, {settings.rounds} rounds of {settings.seconds:g} s; median (least…most); {cores}",
        _round_trips_table(settings, results),
        _letting_table(settings, results),
        "\n".join([*_ratios(settings, results), *_notes(settings, cores, results)]),
        "\n\n".join(f"FAILED {problem}" for problem in results.problems),
    ]
    return "\n\n".join(part for part in parts if part)


def _round_trips_table(settings: Settings, results: Results) -> str:
    lines = [["connections", "peer", *(column.title for column in ROUND_TRIPS)]]
    for connections in settings.connections:
        for peer in settings.peers:
            rows = results.round_trips.get((peer.name, connections), [])
            lines.append([str(connections), peer.name, *(column.cell(rows) for column in ROUND_TRIPS)])
    return _aligned(lines)


def _letting_table(settings: Settings, results: Results) -> str:
    lines = [["peer", *(column.title for column in LETTING)]]
    lines += [
        [peer.name, *(column.cell(rows) for column in LETTING)]
        for peer in settings.peers
        if (rows := results.letting.get(peer.name))
    ]
    return _aligned(lines) if len(lines) > 1 else ""


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    rows.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(row.rstrip() for row in rows)


def ratio(results: Results, peer: str, connections: int) -> Spread | None:
    """Return CPU per round trip of ours ÷ that of `peer`, each round against the same round of the other."""
    ours = results.round_trips.get((OURS, connections), [])
    theirs = results.round_trips.get((peer, connections), [])
    pairs = [(cpu_per_round_trip(mine), cpu_per_round_trip(their)) for mine, their in zip(ours, theirs, strict=False)]  # fmt: skip
    ratios = [mine / their for mine, their in pairs if mine and their]
    return Spread.of(ratios) if ratios else None


def _ratios(settings: Settings, results: Results) -> list[str]:
    return [
        f"gateway CPU per round trip, {OURS} ÷ {peer.name}, {connections} connections: {spread.show(3)}"
        for peer in settings.peers
        if peer.name != OURS
        for connections in settings.connections
        if (spread := ratio(results, peer.name, connections)) is not None
    ]


def _notes(settings: Settings, cores: Cores, results: Results) -> list[str]:
    """Tell where the load was at its end: the CPU per round trip still holds, the throughput is the load's own."""
    full = [
        f"{peer.name} at {connections}"
        for connections in settings.connections
        for peer in settings.peers
        if any(_load_is_full(cores, row) for row in results.round_trips.get((peer.name, connections), []))
    ]
    if not full:
        return []
    return [f"the load's core was full, so the throughput shown is the load's own: {', '.join(full)}"]


def _load_is_full(cores: Cores, row: RoundTrips) -> bool:
    share_a_core = cores.load is None or len(cores.load) == 1
    combine: Callable[[float, float], float] = (lambda a, b: a + b) if share_a_core else max
    return combine(row.load_cpu_seconds, row.backend_cpu_seconds) > FULL * row.seconds


def as_json(settings: Settings, cores: Cores, results: Results) -> dict[str, Any]:
    """Return everything that was measured, round by round, with what it was measured on. Times are seconds."""
    return {
        "machine": describe(),
        "cores": {
            "gateway": sorted(cores.gateway) if cores.gateway else None,
            "load": sorted(cores.load) if cores.load else None,
        },
        "settings": {
            "peers": {peer.name: peer.about for peer in settings.peers},
            "connections": settings.connections,
            "size": settings.size,
            "seconds": settings.seconds,
            "rounds": settings.rounds,
            "connects": settings.connects,
        },
        "round_trips": [
            {"peer": peer, "round": number, **asdict(row)}
            for (peer, _), rows in results.round_trips.items()
            for number, row in enumerate(rows, 1)
        ],
        "connections": [
            {"peer": peer, "round": number, **asdict(row)}
            for peer, rows in results.letting.items()
            for number, row in enumerate(rows, 1)
        ],
        "ratios": [
            {
                "of": OURS,
                "to": peer.name,
                "connections": connections,
                **asdict(spread),
            }
            for peer in settings.peers
            if peer.name != OURS
            for connections in settings.connections
            if (spread := ratio(results, peer.name, connections)) is not None
        ],
        "problems": results.problems,
    }
