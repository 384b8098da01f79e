"""The page of the peers benchmark: ours beside theirs first, then what each costs, then every number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.analysis.cells import Cell, cells
from loadtests.analysis.measurements import MEASUREMENTS, Case, Figure
from loadtests.analysis.record import Record
from loadtests.analysis.remarks import headroom, noise
from loadtests.analysis.targets import Verdict, verdicts
from loadtests.common.files import write_whole
from loadtests.peers.peer import OURS
from loadtests.report.charts import peers
from loadtests.report.charts.chart import Chart
from loadtests.report.page import STATES, Note, Tile, capital, render

WORDS: Final = {True: "held", False: "missed", None: "not judged"}


def write(record: Record, path: Path) -> None:
    """Write the page of a benchmark.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, page(record))


def page(record: Record) -> str:
    """Return the page of a benchmark."""
    found = cells(record)
    outcome = verdicts(found)
    rounds = max((len(cell.values) for cell in found), default=0)
    version = record.versions.get(OURS)
    name = f"memmie-gateway {version}: peers benchmark" if version else "Peers benchmark"
    by_measurement = {
        name: of_it
        for name in MEASUREMENTS
        if (of_it := [each for each in found if each.case.measurement == name])
    }
    sides = {"gateway": record.cores.gateway, "load": record.cores.load}
    return render(
        name,
        "bench.html",
        "the JSON of the run",
        record=record,
        name=name,
        ours=OURS,
        rounds=rounds,
        verdict=_verdict(outcome, record.problems),
        tiles=list(_tiles(found, outcome)),
        care=_care(record, rounds),
        ratios=[
            _ratios(name, drawn) for name, of_it in by_measurement.items() if (drawn := _compared(of_it))
        ],
        targets=[
            (
                Note(_named(each), _rule(each)),
                f"{each.value:,.4g} {each.unit}".strip(),
                Note(WORDS[each.held], each.lacking, STATES[each.held]),
            )
            for each in outcome
        ],
        measurements=[_measurement(name, of_it) for name, of_it in by_measurement.items()],
        headroom=headroom(record),
        cores={side: ", ".join(map(str, sorted(each))) if each else "any" for side, each in sides.items()},
    )


def _verdict(outcome: Sequence[Verdict], problems: Sequence[str]) -> tuple[str, str]:
    judged = [each.held for each in outcome if each.held is not None]
    missed = judged.count(False)
    good = f"targets held: {len(judged)}" if judged else "all measured"
    if unjudged := len(outcome) - len(judged):
        good += f", targets not judged: {unjudged}"
    bad = [f"targets missed: {missed} of {len(judged)}"] if missed else []
    bad += [f"measurements failed: {len(problems)}"] if problems else []
    return STATES[not bad], ", ".join(bad) or good


def _named(cell: Cell | Verdict) -> str:
    return f"{cell.figure.title}: {cell.case.described}"


def _tiles(found: Sequence[Cell], outcome: Sequence[Verdict]) -> Iterator[Tile]:
    """Return our headline figures, each with the targets that it misses."""
    for cell in found:
        if cell.peer == OURS and cell.figure.main:
            of_it = [each for each in outcome if (each.figure, each.case) == (cell.figure, cell.case)]
            missed = "; ".join(_rule(each) for each in of_it if each.held is False)
            yield Tile(_named(cell), f"{cell.median} {cell.figure.unit}".strip(), missed)


def _rule(target: Verdict) -> str:
    of = f"÷ {target.of} " if target.of else ""
    limit = f"{target.limit:,.4g} {target.unit}".strip()
    return f"{of}must be {'at least' if target.at_least else 'at most'} {limit}"


def _care(record: Record, rounds: int) -> list[str]:
    """Return what speaks against the numbers."""
    return [
        *noise(record),
        *(["One round: how far the numbers vary is not known."] if rounds == 1 else []),
        *(f"{peer} was not measured, as it is not installed: {how}" for peer, how in record.skipped.items()),
    ]


def _compared(found: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in found if cell.figure.main and cell.ratio]


def _ratios(name: str, found: Sequence[Cell]) -> Chart:
    """Return a chart with a series for each figure and case that a measurement has a ratio of."""
    several_cases = len({cell.case for cell in found}) > 1
    several_figures = len({cell.figure for cell in found}) > 1
    series: dict[str, list[Cell]] = {}
    for cell in found:
        words = [cell.figure.title] * several_figures + [str(cell.case)] * several_cases
        series.setdefault(", ".join(words) or cell.figure.title, []).append(cell)
    return peers.ratios(capital(MEASUREMENTS[name].title), series)


def _measurement(name: str, found: Sequence[Cell]) -> dict[str, Any]:
    """Return a measurement, with a chart for each figure that has one, and a table for each case."""
    figures = [
        figure for figure in MEASUREMENTS[name].figures if any(cell.figure is figure for cell in found)
    ]
    by_case: dict[Case, list[Cell]] = {}
    for cell in found:
        by_case.setdefault(cell.case, []).append(cell)
    charts = [
        peers.bars(_named(drawn[0]), drawn)
        for of_case in by_case.values()
        for figure in figures
        if figure.main and (drawn := [cell for cell in of_case if cell.figure is figure])
    ]
    tables = [(case, *_table(figures, of_case)) for case, of_case in by_case.items()]
    return {"measurement": MEASUREMENTS[name], "charts": charts, "tables": tables}


def _table(figures: Sequence[Figure], found: Sequence[Cell]) -> tuple[list[str], list[list[str | Note]]]:
    """Return the titles and the rows of a table, a row for each peer."""
    rows: dict[str, dict[Figure, Note]] = {}
    for cell in found:
        shown = Note(cell.median, cell.spread.extent(cell.figure.decimals))
        rows.setdefault(cell.called, {})[cell.figure] = shown
    titles = ["peer", *(figure.heading for figure in figures)]
    return titles, [[peer, *(row.get(figure, "—") for figure in figures)] for peer, row in rows.items()]
