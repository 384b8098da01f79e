"""The page of the peers benchmark: ours beside theirs first, then what each costs, then every number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtests.analysis.cells import Cell, cells, grouped
from loadtests.analysis.measurements import MEASUREMENTS, Case, Measurement
from loadtests.analysis.record import Record
from loadtests.analysis.remarks import headroom, noise
from loadtests.analysis.targets import verdicts
from loadtests.common.files import write_whole
from loadtests.peers.peer import OURS
from loadtests.report.charts import peers
from loadtests.report.charts.chart import Chart
from loadtests.report.page import Note, render

_Table = tuple[Case, list[str], list[list[str | Note]]]
"""A case, and the titles and rows of its table."""


def write(record: Record, path: Path) -> None:
    """Write the page of a benchmark.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, page(record))


def page(record: Record) -> str:
    """Return the page of a benchmark."""
    found = cells(record)
    version = record.versions.get(OURS)
    name = f"memmie-gateway {version}: peers benchmark" if version else "Peers benchmark"
    measured = [
        (MEASUREMENTS[name], of_it)
        for name, of_it in grouped(found, lambda cell: cell.case.measurement).items()
    ]
    ratios = [_ratios(measurement, of_it) for measurement, of_it in measured]
    return render(
        name,
        "bench.html",
        "the JSON of the run",
        record=record,
        name=name,
        ours=OURS,
        rounds=max((len(cell.values) for cell in found), default=0),
        cells=found,
        noise=noise(record),
        ratios=[chart for chart in ratios if chart],
        targets=verdicts(found),
        measurements=[_measurement(measurement, of_it) for measurement, of_it in measured],
        headroom=headroom(record),
    )


def _ratios(measurement: Measurement, found: Sequence[Cell]) -> Chart | None:
    """Return a chart with a series for each figure and case that there is a ratio of; None without any."""
    compared = [cell for cell in found if cell.figure.main and cell.ratio]
    several_cases = len({cell.case for cell in compared}) > 1
    several_figures = len({cell.figure for cell in compared}) > 1

    def series(cell: Cell) -> str:
        words = [cell.figure.title] * several_figures + [str(cell.case)] * several_cases
        return ", ".join(words) or cell.figure.title

    return peers.ratios(measurement.heading, grouped(compared, series)) if compared else None


def _measurement(
    measurement: Measurement, found: Sequence[Cell]
) -> tuple[Measurement, list[Chart], list[_Table]]:
    """Return a measurement, with a chart for each figure that has one, and a table for each case."""
    measured = {cell.figure for cell in found}
    figures = [figure for figure in measurement.figures if figure in measured]
    charts, tables = [], []
    for case, of_case in grouped(found, lambda cell: cell.case).items():
        by_figure = grouped(of_case, lambda cell: cell.figure)
        charts += [
            peers.bars(f"{figure.title}: {case.described}", by_figure[figure])
            for figure in figures
            if figure.main and figure in by_figure
        ]
        rows: list[list[str | Note]] = []
        for peer, of_peer in grouped(of_case, lambda cell: cell.called).items():
            notes = {cell.figure: Note(cell.median, cell.extent) for cell in of_peer}
            rows.append([peer, *(notes.get(figure, "—") for figure in figures)])
        tables.append((case, ["peer", *(figure.heading for figure in figures)], rows))
    return measurement, charts, tables
