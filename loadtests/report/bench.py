"""The page of the peers benchmark: ours beside theirs first, then what each costs, then every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.analysis.cells import Cell, Spread, cells, grouped
from loadtests.analysis.measurements import MEASUREMENTS, Case, Measurement, Record
from loadtests.analysis.remarks import headroom, noise
from loadtests.analysis.targets import verdicts
from loadtests.common.files import write_whole
from loadtests.peers.peer import OURS
from loadtests.report.page import INK, JSON, LOOKS, Chart, Note, label, render, rounded, scatter, vertical

_Table = tuple[Case, list[str], list[list[str | Note]]]
"""A case, and the titles and rows of its table."""

ROW: Final = 34
"""Height of a peer's row in CSS pixels."""

ROUND_THE_ROWS: Final = 72
"""Height of what is around them."""


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

    return _ratio_chart(measurement.heading, grouped(compared, series)) if compared else None


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
            _bars(f"{figure.title}: {case.described}", by_figure[figure])
            for figure in figures
            if figure.main and figure in by_figure
        ]
        rows: list[list[str | Note]] = []
        for peer, of_peer in grouped(of_case, lambda cell: cell.called).items():
            notes = {cell.figure: Note(cell.median, cell.extent) for cell in of_peer}
            rows.append([peer, *(notes.get(figure, "—") for figure in figures)])
        tables.append((case, ["peer", *(figure.heading for figure in figures)], rows))
    return measurement, charts, tables


def _bars(title: str, found: Sequence[Cell]) -> Chart:
    """Return a bar for each peer, the least on top, with a whisker from least to most, of one figure in one case."""
    ranked = sorted(found, key=lambda cell: cell.spread.median, reverse=True)
    figure = ranked[0].figure
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": [rounded(cell.spread.median) for cell in ranked],
        "y": list(range(len(ranked))),
        "width": 0.62,
        "marker": {"color": [LOOKS["gateway" if cell.peer == OURS else "other"][0] for cell in ranked]},
        "error_x": _whiskers([cell.spread for cell in ranked], INK),
        "customdata": [
            label(f"{cell.called} {cell.spread.shown(figure.decimals)} {figure.unit}".rstrip())
            for cell in ranked
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": label(figure.unit)}, "rangemode": "tozero"},
        "yaxis": _rows([f"{_name(cell.called)}  {cell.median}" for cell in ranked]),
    }
    return Chart(title, "", ROUND_THE_ROWS + ROW * len(ranked), [bar], layout)


def _ratio_chart(title: str, series: Mapping[str, Sequence[Cell]]) -> Chart:
    """Return ours ÷ the peers': a row for each peer, and in it a point for each series of cells with a ratio."""
    peers = list(dict.fromkeys(cell.called for of_it in series.values() for cell in of_it))[::-1]
    step = 0.7 / len(series)
    traces = []
    for number, (words, of_it) in enumerate(series.items()):
        compared = [(cell.called, cell.ratio) for cell in of_it if cell.ratio]
        look = list(LOOKS)[number % len(LOOKS)]
        offset = step * ((len(series) - 1) / 2 - number)
        trace = scatter(
            words,
            look,
            [ratio.median for _, ratio in compared],
            [peers.index(peer) + offset for peer, _ in compared],
            mode="markers",
            error_x=_whiskers([ratio for _, ratio in compared], LOOKS[look][0]),
            customdata=[label(f"{peer} {ratio.shown(2)}") for peer, ratio in compared],
            hovertemplate="%{customdata}",
        )
        trace["marker"]["size"] = 9
        traces.append(trace)
    layout = {
        "xaxis": {"title": {"text": f"{OURS} ÷ peer"}, "rangemode": "tozero"},
        "yaxis": _rows([_name(peer) for peer in peers]),
        "hovermode": "closest",
        "shapes": [vertical(1, INK)],
    }
    height = ROUND_THE_ROWS + 22 * len(series) + max(ROW, 16 * len(series)) * len(peers)
    return Chart(title, "", height, traces, layout)


def _rows(names: Sequence[str]) -> JSON:
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "tickfont": {"size": 13, "color": INK}}
    return {**ticks, "range": [-0.6, len(names) - 0.4], "showgrid": False}


def _name(peer: str) -> str:
    return f"<b>{label(peer)}</b>" if peer == OURS else label(peer)


def _whiskers(spreads: Sequence[Spread], colour: str) -> JSON:
    return {
        "type": "data",
        "symmetric": False,
        "array": [rounded(spread.most - spread.median) for spread in spreads],
        "arrayminus": [rounded(spread.median - spread.least) for spread in spreads],
        "color": colour,
        "thickness": 1.5,
        "width": 4,
    }
