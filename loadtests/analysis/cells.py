"""Cells: each figure of each peer over the rounds, with ours ÷ theirs, and whether the load limited it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeVar

from loadtests.analysis.measurements import MEASUREMENTS, Case, Figure, Record
from loadtests.common.machine import Cores
from loadtests.peers.peer import DIRECT, OURS, PEERS
from loadtests.traffic.results import Span

FULL: Final = 0.95
"""From this share of its core on, the load and not the gateway limits a rate."""

Key = TypeVar("Key")


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
    found = []
    for name, measurement in MEASUREMENTS.items():
        for case in record.cases(name):
            results = {peer: record.of(case, peer) for peer in (DIRECT, OURS, *record.peers)}
            for peer, figure in itertools.product(record.peers, measurement.figures):
                values = _values(figure, peer, results)
                if spread := Spread.of(values.values()):
                    is_compared = figure.compared and peer != OURS
                    ratios = _ratios(_values(figure, OURS, results), values) if is_compared else {}
                    spans = (
                        [attrgetter(figure.span)(row) for row in results[peer].values()]
                        if figure.span
                        else []
                    )
                    is_full = any(load_share(record.cores, span) >= FULL for span in spans)
                    ratio = Spread.of(ratios.values())
                    found.append(Cell(figure, case, peer, values, spread, ratios, ratio, is_full))
    return found


def grouped(cells: Iterable[Cell], key: Callable[[Cell], Key]) -> dict[Key, list[Cell]]:
    """Return cells by something that they have in common, in their order."""
    groups: dict[Key, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def _values(figure: Figure, peer: str, results: Mapping[str, Mapping[int, Any]]) -> dict[int, float]:
    """Return the values of a figure by round, of which `results` has the results of each peer."""
    found = _not_none({number: figure.value(row) for number, row in results[peer].items()})
    if not figure.added:
        return found
    alone = _not_none({number: figure.value(row) for number, row in results[DIRECT].items()})
    return (
        {}
        if peer == DIRECT
        else {number: found[number] - alone[number] for number in found if number in alone}
    )


def _not_none(values: Mapping[int, float | None]) -> dict[int, float]:
    return {number: value for number, value in values.items() if value is not None}


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
