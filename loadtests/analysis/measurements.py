"""What is measured, from `measurements.toml`, the record of the results, and its cells: medians and ratios of each figure."""

from __future__ import annotations

import itertools
import statistics
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from loadtests.common.machine import Cores
from loadtests.peers.peer import DIRECT, OURS, PEERS
from loadtests.traffic.results import RESULTS, Count, Positive, Result, Span

_SCALES: Final = {"µs": 1e6, "ms": 1e3, "%": 100, "KiB": 2**-10, "MiB": 2**-20}
"""From what a result has, seconds, bytes and shares, to the unit of a figure."""

FULL: Final = 0.95
"""From this share of its core on, the load and not the gateway limits a rate."""

Key = TypeVar("Key")


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
    protocol: str = "websocket"
    opened: float = 1.0
    windows: int = 1
    once: bool = False
    needs_gateway: bool = False


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
    at_once: Count | None = None  # messages under way at the same time, in all; None if no number is fixed

    def __str__(self) -> str:
        return " × ".join(self._parts)  # noqa: RUF001 - a multiplication sign

    @property
    def described(self) -> str:
        """The case in words, for a title."""
        connections, *others = self._parts
        return ", ".join([f"{connections} connections", *others])

    @property
    def _parts(self) -> list[str]:
        parts = [f"{self.connections:,}"]
        if self.rate is not None:
            parts.append(f"{self.rate:g}/s")
        if self.size is not None:
            parts.append(f"{self.size} B" if self.size % 1024 else f"{self.size // 1024} KiB")
        if self.at_once is not None:
            parts.append(f"{self.at_once} at once")
        return parts


@dataclass(frozen=True, slots=True)
class Row:
    """One result."""

    case: Case  # what was measured
    peer: str  # its name
    round: int  # in which round, from 1
    result: Result  # of the measurement's own class

    def __post_init__(self) -> None:
        kind = RESULTS.get(self.case.measurement)
        if kind is None or not isinstance(self.result, kind):
            raise ValueError(f"this is not a result of {self.case.measurement!r:.40}")


@dataclass(slots=True)
class Record:
    """A run of the benchmark."""

    started: str  # ISO 8601 with its time zone
    machine: Mapping[str, str | int]  # what it ran on, and with which libraries
    cores: Cores  # which cores each side had
    peers: dict[str, str]  # what each peer is, by name, in the order of the tables
    versions: dict[str, str] = field(default_factory=dict)  # of the peers, as far as they are known, by name
    skipped: dict[str, str] = field(default_factory=dict)  # how to get what is not installed
    rows: list[Row] = field(default_factory=list)  # every result, in the order of measuring
    problems: list[str] = field(default_factory=list)  # the measurements that have no result, and why
    commands: list[str] = field(default_factory=list)  # that made it
    kept_awake: bool = False  # whether no core slept while latency was measured

    def cases(self, measurement: str) -> list[Case]:
        """Return the cases of a measurement that have a row."""
        return list(dict.fromkeys(row.case for row in self.rows if row.case.measurement == measurement))

    def of(self, case: Case, peer: str) -> dict[int, Any]:
        """Return the results of a peer by round."""
        return {row.round: row.result for row in self.rows if row.case == case and row.peer == peer}


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Collection[float]) -> Spread | None:
        """Return the spread of values; None for no value."""
        return cls(statistics.median(values), min(values), max(values)) if values else None

    def extent(self, decimals: int) -> str:
        """Return `least…most`; "" for one value."""
        return "" if self.least == self.most else f"{self.least:,.{decimals}f}…{self.most:,.{decimals}f}"

    def shown(self, decimals: int) -> str:
        """Return `median (least…most)`, or the one value."""
        extent = self.extent(decimals)
        return f"{self.median:,.{decimals}f}" + (f" ({extent})" if extent else "")


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one peer in one case."""

    figure: Figure
    case: Case
    peer: str
    values: dict[int, float]  # by round
    spread: Spread  # of the values; there is at least one
    ratios: dict[int, float]  # ours ÷ the peer's, by round
    ratio: Spread | None  # of the ratios; None without any
    bounded_by_load: bool  # whether the load was full in some round, so that the peer can do more

    @property
    def called(self) -> str:
        """What tables and charts call the peer: a connect is cheaper for one that asks no Auth."""
        asks_none = self.peer in PEERS and not PEERS[self.peer].asks_auth
        matters = self.case.measurement in {"connects", "http"}  # where Auth could be asked in the window
        return f"{self.peer} (no auth)" if asks_none and matters else self.peer

    @property
    def median(self) -> str:
        """The median for people, without its unit."""
        return f"{'≥ ' * self.bounded_by_load}{self.spread.median:,.{self.figure.decimals}f}"

    @property
    def shown(self) -> str:
        """The median for people, with least and most."""
        return f"{'≥ ' * self.bounded_by_load}{self.spread.shown(self.figure.decimals)}"


def cells(record: Record) -> list[Cell]:
    """Return every cell of a record that has a value, by measurement, case, peer and figure."""
    found = []
    for name, measurement in MEASUREMENTS.items():
        for case, peer, figure in itertools.product(record.cases(name), record.peers, measurement.figures):
            values = _values(record, case, peer, figure)
            is_compared = figure.compared and peer != OURS
            ratios = _ratios(_values(record, case, OURS, figure), values) if is_compared else {}
            rows = record.of(case, peer).values() if figure.span else ()
            is_full = any(load_share(record.cores, attrgetter(figure.span)(row)) >= FULL for row in rows)
            if spread := Spread.of(values.values()):
                ratio = Spread.of(ratios.values())
                found.append(Cell(figure, case, peer, values, spread, ratios, ratio, is_full))
    return found


def grouped(cells: Iterable[Cell], key: Callable[[Cell], Key]) -> dict[Key, list[Cell]]:
    """Return cells by something that they have in common, in their order."""
    groups: dict[Key, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def _values(record: Record, case: Case, peer: str, figure: Figure) -> dict[int, float]:
    """Return the values of a peer's figure by round."""

    def values(name: str) -> dict[int, float]:
        by_round = {number: figure.value(result) for number, result in record.of(case, name).items()}
        return {number: value for number, value in by_round.items() if value is not None}

    found = values(peer)
    if not figure.added:
        return found
    alone = values(DIRECT) if peer != DIRECT else {}
    return {number: value - alone[number] for number, value in found.items() if number in alone}


def _ratios(ours: dict[int, float], theirs: dict[int, float]) -> dict[int, float]:
    """Return ours ÷ theirs, each round against the same round of the other.

    There are none if one value is zero or less: leaving out that round alone would flatter one of the two.
    """
    rounds = sorted(ours.keys() & theirs.keys())
    if any(values[number] <= 0 for values in (ours, theirs) for number in rounds):
        return {}
    return {number: ours[number] / theirs[number] for number in rounds}


def load_share(cores: Cores, span: Span) -> float:
    """Return how busy the fullest core of load, backend and Auth was."""
    shares = (span.load, span.backend, span.auth)
    on_one_core = cores.load is None or len(cores.load) == 1
    return (sum(shares) if on_one_core else max(shares)) / span.seconds
