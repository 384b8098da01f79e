"""One measurement on the benchmark's page: its charts, and a table for each case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loadtests.benchmark.cases import Case
from loadtests.peers.catalogue import OURS
from loadtests.report.charts import peers
from loadtests.report.layout import part, section, side_by_side
from loadtests.report.looks import Look, look_of
from loadtests.report.markup import Html, element, join
from loadtests.report.results import Cell, by_case, described, extent
from loadtests.report.tables import table

WHISKERS: Final = (
    "The bar is the median of the rounds, the whisker goes from the least to the most. Less is better."
)


def measurement(name: str, found: Sequence[Cell]) -> Html:
    """Return the section of a measurement: a chart for each figure that is drawn, and the tables of all."""
    look = look_of(name)
    charts = [
        peers.bars(f"{words}: {described(case)}", "", drawn)
        for case, of_case in by_case(found).items()
        for figure, words in look.drawn.items()
        if (drawn := [cell for cell in of_case if cell.figure == figure])
    ]
    return section(
        look.heading,
        look.about,
        *([element("p", WHISKERS, class_="quiet"), side_by_side(charts)] if charts else []),
        *(_table(look, case, of_case) for case, of_case in by_case(found).items()),
    )


def _table(look: Look, case: Case, found: Sequence[Cell]) -> Html:
    titles = dict.fromkeys(cell.title for cell in found)
    rows: dict[str, dict[str, Cell]] = {}
    for cell in found:
        rows.setdefault(cell.called, {})[cell.title] = cell
    return part(
        described(case),
        table(
            f"{look.heading}, {described(case)}",
            ("peer", *titles),
            ((peer, *(_figure(row.get(each)) for each in titles)) for peer, row in rows.items()),
            ours=OURS,
        ),
    )


def _figure(cell: Cell | None) -> str:
    if cell is None:
        return "—"
    return join([cell.median, element("span", extent(cell.spread, cell.decimals), class_="range")])
