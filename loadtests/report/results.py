"""What a page takes from the JSON of the peers benchmark: its figures, as they were summed up there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.benchmark.cases import Case
from loadtests.benchmark.figure import Spread
from loadtests.common.units import shown


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one peer.

    Attributes:
        figure: its name.
        title: what a table calls it.
        unit: of its values.
        decimals: how exactly to show it.
        case: what was measured.
        peer: of whom.
        called: what tables and charts call that peer.
        rounds: in how many it was measured.
        spread: over the rounds.
        ratio: ours ÷ the peer's, over the rounds; None where there is none.
        at_least: whether the load was full, so that the peer can do more.
    """

    figure: str
    title: str
    unit: str
    decimals: int
    case: Case
    peer: str
    called: str
    rounds: int
    spread: Spread
    ratio: Spread | None
    at_least: bool

    @property
    def median(self) -> str:
        """The median for people, without its unit."""
        return f"{'≥ ' if self.at_least else ''}{self.spread.median:,.{self.decimals}f}"


def cells(results: Mapping[str, Any]) -> list[Cell]:
    """Return all figures, in the order of the tables."""
    return [
        Cell(
            figure=entry["figure"],
            title=entry["title"],
            unit=entry["unit"],
            decimals=entry["decimals"],
            case=Case(**entry["case"]),
            peer=entry["peer"],
            called=entry.get("called", entry["peer"]),
            rounds=len(entry["values"]),
            spread=_spread(entry),
            ratio=_spread(entry["ratio"]) if entry["ratio"] else None,
            at_least=entry["bounded_by_load"],
        )
        for entry in results["figures"]
    ]


def _spread(entry: Mapping[str, Any]) -> Spread:
    return Spread(entry["median"], entry["least"], entry["most"])


def by_case(cells: Iterable[Cell]) -> dict[Case, list[Cell]]:
    """Return the cells of each case."""
    found: dict[Case, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.case, []).append(cell)
    return found


def described(case: Case) -> str:
    """Return a case in words, for a title."""
    parts = [f"{case.connections:,} connections"]
    if case.rate is not None:
        parts.append(f"{case.rate:g}/s each")
    if case.size is not None:
        parts.append(shown(case.size, "bytes"))
    return ", ".join(parts)


def extent(spread: Spread, decimals: int) -> str:
    """Return from where to where it goes; nothing where it is one value."""
    if spread.least == spread.most:
        return ""
    return f"{spread.least:,.{decimals}f}…{spread.most:,.{decimals}f}"
