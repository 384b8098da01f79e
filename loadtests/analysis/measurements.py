"""The measurements and their figures, from `measurements.toml`, the cases they are made in, and the record of their results."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from loadtests.common.machine import Cores
from loadtests.traffic.results import RESULTS, Count, Positive, Result

_SCALES: Final = {"µs": 1e6, "ms": 1e3, "%": 100, "KiB": 2**-10, "MiB": 2**-20}
"""From what a result has, seconds, bytes and shares, to the unit of a figure."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of interest; `measurements.toml` says what its fields mean."""

    name: str
    title: str
    unit: str
    decimals: int
    of: tuple[str, ...]
    less: str = ""
    per: str = ""
    none_at_zero: bool = False
    main: bool = False
    compared: bool = False
    added: bool = False
    brief: bool = False
    span: str = ""

    def value(self, result: Any) -> float | None:
        """Return the figure of a result; None if there is none."""
        total = sum(attrgetter(each)(result) for each in self.of)
        if self.none_at_zero and not total:
            return None
        more: float = total - attrgetter(self.less)(result) if self.less else total
        each = more / attrgetter(self.per)(result) if self.per else more
        return each * _SCALES.get(self.unit, 1)

    @property
    def heading(self) -> str:
        """The title of its column."""
        return self.title if self.unit in {"", "/s"} else f"{self.title}, {self.unit}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A kind of measurement; `measurements.toml` says what its fields mean."""

    title: str
    about: str
    figures: tuple[Figure, ...]
    opened: float = 1.0
    once: bool = False
    needs_gateway: bool = False

    @property
    def heading(self) -> str:
        """The title with a capital at its beginning."""
        return self.title[:1].upper() + self.title[1:]


MEASUREMENTS: Final = TypeAdapter(dict[str, Measurement]).validate_python(
    tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
)


@dataclass(frozen=True, slots=True)
class Case:
    """One way to make a measurement."""

    measurement: str
    connections: Count  # how many take part
    size: Count | None = None  # of a message in bytes; None without messages
    rate: Positive | None = None  # messages a second of each connection; None if it is not fixed
    seconds: Positive | None = None  # length of the window; None without one

    def __str__(self) -> str:
        """Return it for a cell of a table."""
        rate = [] if self.rate is None else [f"{self.rate:g}/s"]
        return " × ".join([f"{self.connections:,}", *rate, *self._size])  # noqa: RUF001 - a multiplication sign

    @property
    def described(self) -> str:
        """The case in words, for a title."""
        rate = [] if self.rate is None else [f"{self.rate:g}/s each"]
        return ", ".join([f"{self.connections:,} connections", *rate, *self._size])

    @property
    def _size(self) -> list[str]:
        if self.size is None:
            return []
        return [f"{self.size} B" if self.size % 1024 else f"{self.size // 1024} KiB"]


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
    skipped: dict[str, str] = field(default_factory=dict)  # how to get what is not installed
    rows: list[Row] = field(default_factory=list)  # every result, in the order of measuring
    problems: list[str] = field(default_factory=list)  # the measurements that have no result, and why
    commands: list[str] = field(default_factory=list)  # that made it

    def cases(self, measurement: str) -> list[Case]:
        """Return the cases of a measurement that have a row."""
        return list(dict.fromkeys(row.case for row in self.rows if row.case.measurement == measurement))

    def of(self, case: Case, peer: str) -> dict[int, Any]:
        """Return the results of a peer by round."""
        return {row.round: row.result for row in self.rows if row.case == case and row.peer == peer}
