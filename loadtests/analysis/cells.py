"""Cells: each figure of each peer over the rounds, with ours ÷ theirs, and whether the load limited it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeVar

from loadtests.analysis.measurements import MEASUREMENTS, Case, Figure
from loadtests.analysis.record import Record
from loadtests.common.machine import Cores
from loadtests.peers.peer import DIRECT, OURS, PEERS
from loadtests.traffic.results import Span

FULL: Final = 0.95
"""From this share of its core on, the load and not the gateway limits a rate."""

Key = TypeVar("Key")

_Results = dict[tuple[Case, str], dict[int, Any]]
"""The results of each case and peer, by round."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Return the spread of values; None for no value."""
        listed = list(values)
        return cls(statistics.median(listed), min(listed), max(listed)) if listed else None

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
    at_least: bool  # whether the load was full in some round, so that the peer can do more

    @property
    def does_less(self) -> bool:
        """Whether a connect is cheaper for the peer because it asks no Auth."""
        return self.case.measurement == "connects" and self.peer in PEERS and not PEERS[self.peer].asks_auth

    @property
    def called(self) -> str:
        """What tables and charts call the peer."""
        return f"{self.peer} (no auth)" if self.does_less else self.peer

    @property
    def median(self) -> str:
        """The median for people, without its unit."""
        return f"{'≥ ' * self.at_least}{self.spread.median:,.{self.figure.decimals}f}"

    @property
    def extent(self) -> str:
        """The least and the most for people; "" for one value."""
        return self.spread.extent(self.figure.decimals)

    @property
    def shown(self) -> str:
        """The median for people, with least and most."""
        return f"{'≥ ' * self.at_least}{self.spread.shown(self.figure.decimals)}"


def cells(record: Record) -> list[Cell]:
    """Return every cell of a record that has a value, by measurement, case, peer and figure."""
    results: _Results = {}
    for row in record.rows:
        results.setdefault((row.case, row.peer), {})[row.round] = row.result
    return [
        cell
        for name, measurement in MEASUREMENTS.items()
        for case in record.cases(name)
        for peer in record.peers
        for figure in measurement.figures
        if (cell := _cell(figure, case, peer, results, record.cores))
    ]


def grouped(cells: Iterable[Cell], key: Callable[[Cell], Key]) -> dict[Key, list[Cell]]:
    """Return cells by something that they have in common, in their order."""
    groups: dict[Key, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def _cell(figure: Figure, case: Case, peer: str, results: _Results, cores: Cores) -> Cell | None:
    values = _values(figure, case, peer, results)
    spread = Spread.of(values.values())
    if spread is None:
        return None
    is_compared = figure.compared and peer != OURS
    ratios = _ratios(_values(figure, case, OURS, results), values) if is_compared else {}
    return Cell(
        figure=figure,
        case=case,
        peer=peer,
        values=values,
        spread=spread,
        ratios=ratios,
        ratio=Spread.of(ratios.values()),
        at_least=bool(figure.span)
        and any(
            load_share(cores, attrgetter(figure.span)(row)) >= FULL for row in results[case, peer].values()
        ),
    )


def _values(figure: Figure, case: Case, peer: str, results: _Results) -> dict[int, float]:
    found = {
        number: value
        for number, row in results.get((case, peer), {}).items()
        if (value := figure.value(row)) is not None
    }
    if not figure.added:
        return found
    if peer == DIRECT:
        return {}
    alone = {number: figure.value(row) for number, row in results.get((case, DIRECT), {}).items()}
    return {
        number: value - base for number, value in found.items() if (base := alone.get(number)) is not None
    }


def _ratios(ours: dict[int, float], theirs: dict[int, float]) -> dict[int, float]:
    """Return ours ÷ theirs, each round against the same round of the other.

    There are none if one value is zero or less: leaving out that round alone would flatter one of the two.
    """
    pairs = {number: (ours[number], theirs[number]) for number in sorted(ours.keys() & theirs.keys())}
    if any(value <= 0 for pair in pairs.values() for value in pair):
        return {}
    return {number: mine / other for number, (mine, other) in pairs.items()}


def load_share(cores: Cores, span: Span) -> float:
    """Return how busy the fullest core of load, backend and Auth was."""
    shares = (span.load, span.backend, span.auth)
    on_one_core = cores.load is None or len(cores.load) == 1
    return (sum(shares) if on_one_core else max(shares)) / span.seconds
