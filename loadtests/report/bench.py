"""The page of the peers benchmark: ours beside theirs first, then what each costs, then every number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from loadtests.analysis.conclusions import headroom, noise, verdicts
from loadtests.analysis.measurements import MEASUREMENTS, Cell, Record, Spread, cells, grouped
from loadtests.peers.peer import OURS
from loadtests.report.page import INK, JSON, SPECS, Chart, Note, label, render, rounded, scatter, vertical

# In CSS pixels: the height of a peer's row, and of what is around the rows.
ROW: Final = 34
ROUND_THE_ROWS: Final = 72


def page(record: Record) -> str:
    """Return the page of a benchmark."""
    found = cells(record)
    version = record.versions.get(OURS)
    name = f"memmie-gateway {version}: peers benchmark" if version else "Peers benchmark"
    measured = grouped(found, lambda cell: cell.case.measurement)
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
        ratios=[chart for of_it in measured.values() for chart in _ratios(of_it)],
        targets=verdicts(found),
        measurements=[
            (MEASUREMENTS[name], _charts(found), _tables(found)) for name, found in measured.items()
        ],
        headroom=headroom(record),
    )


def _charts(found: Sequence[Cell]) -> list[Chart]:
    """Return a chart of each main figure in each case: a bar for each peer, with a whisker from least to most."""
    groups = grouped((cell for cell in found if cell.figure.main), lambda cell: (cell.case, cell.figure))
    charts, looks = [], SPECS["looks"]
    for (case, figure), of_it in groups.items():
        ranked = sorted(of_it, key=lambda cell: cell.spread.median, reverse=True)  # the least on top
        bar = {
            **SPECS["bar"],
            "x": [rounded(cell.spread.median) for cell in ranked],
            "y": list(range(len(ranked))),
            "marker": {"color": [looks["gateway" if cell.peer == OURS else "other"][0] for cell in ranked]},
            "error_x": _whiskers([cell.spread for cell in ranked], INK),
            "customdata": [label(f"{cell.called} {cell.shown} {figure.unit}".rstrip()) for cell in ranked],
        }
        xaxis = {"title": {"text": label(figure.unit)}, "rangemode": "tozero"}
        layout = {"xaxis": xaxis, "yaxis": _rows([(cell.called, f"  {cell.median}") for cell in ranked])}
        title = f"{figure.title}: {case.described}"
        charts.append(Chart(title, "", ROUND_THE_ROWS + ROW * len(ranked), [bar], layout))
    return charts


def _tables(found: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return each case of a measurement with the titles and the rows of its table."""
    measured = {cell.figure for cell in found}
    figures = [each for each in MEASUREMENTS[found[0].case.measurement].figures if each in measured]
    tables = []
    for case, of_case in grouped(found, lambda cell: cell.case).items():
        rows: list[list[str | Note]] = []
        for peer, of_peer in grouped(of_case, lambda cell: cell.called).items():
            notes = {
                each.figure: Note(each.median, each.spread.extent(each.figure.decimals)) for each in of_peer
            }
            rows.append([peer, *(notes.get(figure, "—") for figure in figures)])
        titles = ["peer", *(figure.heading for figure in figures)]
        tables.append({"case": case, "titles": titles, "rows": rows})
    return tables


def _ratios(found: Sequence[Cell]) -> list[Chart]:
    """Return a chart of ours ÷ the peers', if there is a ratio: a row for each peer, a series for each figure and case."""
    compared = [cell for cell in found if cell.figure.main and cell.ratio]
    peers = list(dict.fromkeys(cell.called for cell in compared))[::-1]
    traces = []
    series = grouped(compared, lambda cell: f"{cell.figure.title}, {cell.case}")
    for number, (name, of_it) in enumerate(series.items()):
        ratios = {cell.called: cell.ratio for cell in of_it if cell.ratio}
        look = list(SPECS["looks"])[number % len(SPECS["looks"])]
        offset = 0.7 / len(series) * ((len(series) - 1) / 2 - number)
        trace = scatter(
            name,
            look,
            [ratio.median for ratio in ratios.values()],
            [peers.index(peer) + offset for peer in ratios],
            mode="markers",
            error_x=_whiskers(list(ratios.values()), SPECS["looks"][look][0]),
            customdata=[label(f"{peer} {ratio.shown(2)}") for peer, ratio in ratios.items()],
            hovertemplate="%{customdata}",
        )
        trace["marker"]["size"] = 9
        traces.append(trace)
    layout = {
        "xaxis": {"title": {"text": f"{OURS} ÷ peer"}, "rangemode": "tozero"},
        "yaxis": _rows([(peer, "") for peer in peers]),
        "hovermode": "closest",
        "shapes": [vertical(1, INK)],
    }
    height = ROUND_THE_ROWS + 22 * len(series) + max(ROW, 16 * len(series)) * len(peers)
    title = MEASUREMENTS[found[0].case.measurement].title
    return [Chart(title, "", height, traces, layout)] if compared else []


def _rows(peers: Sequence[tuple[str, str]]) -> JSON:
    """Return an axis with a row for each peer: what it is called, and what is behind that."""
    names = [f"<b>{label(peer)}</b>{more}" if peer == OURS else label(peer) + more for peer, more in peers]
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "tickfont": {"size": 13, "color": INK}}
    return {**ticks, "range": [-0.6, len(names) - 0.4], "showgrid": False}


def _whiskers(spreads: Sequence[Spread], colour: str) -> JSON:
    up = [rounded(spread.most - spread.median) for spread in spreads]
    down = [rounded(spread.median - spread.least) for spread in spreads]
    return {**SPECS["whiskers"], "array": up, "arrayminus": down, "color": colour}
