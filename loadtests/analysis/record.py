"""The record of a benchmark: every result and what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.analysis.measurements import MEASUREMENTS, Case
from loadtests.common.machine import Cores
from loadtests.traffic.results import Connects, FixedRate, Hold, Memory, RoundTrips


@dataclass(frozen=True, slots=True)
class Row:
    """One result.

    Attributes:
        case: what was measured.
        peer: its name.
        round: in which round, from 1.
        result: of the measurement's own class.
    """

    case: Case
    peer: str
    round: int
    result: RoundTrips | FixedRate | Connects | Memory | Hold

    def __post_init__(self) -> None:
        """Refuse the result of another measurement."""
        measurement = MEASUREMENTS.get(self.case.measurement)
        if measurement is None or not isinstance(self.result, measurement.result):
            raise ValueError(f"this is not a result of {self.case.measurement!r:.40}")


@dataclass(slots=True)
class Record:
    """A run of the benchmark, or several that were put together.

    Attributes:
        started: when, ISO 8601 with its time zone.
        machine: what it ran on, and with which libraries.
        cores: which cores each side had.
        peers: what each peer is, by name, in the order of the tables.
        versions: of the peers, as far as they are known, by name.
        skipped: how to get the peers that are not installed, by name.
        rows: every result, in the order of measuring.
        problems: the measurements that have no result, and why.
        commands: that made it.
    """

    started: str
    machine: Mapping[str, str | int]
    cores: Cores
    peers: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def cases(self, measurement: str) -> list[Case]:
        """Return the cases of a measurement that have a row."""
        return list(dict.fromkeys(row.case for row in self.rows if row.case.measurement == measurement))

    def of(self, case: Case, peer: str) -> dict[int, Any]:
        """Return the results of a peer by round."""
        return {row.round: row.result for row in self.rows if row.case == case and row.peer == peer}
