"""The record of a benchmark: every result and what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.analysis.measurements import Case
from loadtests.common.machine import Cores
from loadtests.traffic.results import RESULTS, Result


@dataclass(frozen=True, slots=True)
class Row:
    """One result."""

    case: Case  # what was measured
    peer: str  # its name
    round: int  # in which round, from 1
    result: Result  # of the measurement's own class

    def __post_init__(self) -> None:
        """Refuse the result of another measurement."""
        kind = RESULTS.get(self.case.measurement)
        if kind is None or not isinstance(self.result, kind):
            raise ValueError(f"this is not a result of {self.case.measurement!r:.40}")


@dataclass(slots=True)
class Record:
    """A run of the benchmark, or several that were put together."""

    started: str  # ISO 8601 with its time zone
    machine: Mapping[str, str | int]  # what it ran on, and with which libraries
    cores: Cores  # which cores each side had
    peers: dict[str, str]  # what each peer is, by name, in the order of the tables
    versions: dict[str, str] = field(default_factory=dict)  # of the peers, as far as they are known, by name
    skipped: dict[str, str] = field(
        default_factory=dict
    )  # how to get the peers that are not installed, by name
    rows: list[Row] = field(default_factory=list)  # every result, in the order of measuring
    problems: list[str] = field(default_factory=list)  # the measurements that have no result, and why
    commands: list[str] = field(default_factory=list)  # that made it

    def cases(self, measurement: str) -> list[Case]:
        """Return the cases of a measurement that have a row."""
        return list(dict.fromkeys(row.case for row in self.rows if row.case.measurement == measurement))

    def of(self, case: Case, peer: str) -> dict[int, Any]:
        """Return the results of a peer by round."""
        return {row.round: row.result for row in self.rows if row.case == case and row.peer == peer}
