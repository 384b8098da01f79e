"""Peers side by side: what each costs, and what ours is of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from loadtests.analysis.cells import Cell, Spread
from loadtests.peers.peer import OURS
from loadtests.report.charts.chart import INK, JSON, LOOKS, Chart, label, rounded, scatter, vertical

ROW: Final = 34
"""Height of a peer's row in CSS pixels."""

ROUND_THE_ROWS: Final = 72
"""Height of what is around them."""


def bars(title: str, cells: Sequence[Cell]) -> Chart:
    """Return a bar for each peer, the least on top, with a whisker from least to most.

    Args:
        title: of the chart.
        cells: of one figure in one case, at least one.
    """
    ranked = sorted(cells, key=lambda cell: cell.spread.median, reverse=True)
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
            label(f"{cell.called} {cell.spread.shown(figure.decimals)} {figure.unit}") for cell in ranked
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": label(figure.unit)}, "rangemode": "tozero"},
        "yaxis": _rows([f"{_name(cell.called)}  {cell.median}" for cell in ranked]),
    }
    return Chart(title, "", ROUND_THE_ROWS + ROW * len(ranked), [bar], layout)


def ratios(title: str, series: Mapping[str, Sequence[Cell]]) -> Chart:
    """Return ours ÷ the peers': a row for each peer, and in it a point for each series.

    Args:
        title: of the chart.
        series: cells with a ratio, by what was compared, in words.
    """
    peers = list(dict.fromkeys(cell.called for cells in series.values() for cell in cells))[::-1]
    step = 0.7 / len(series)
    traces = []
    for number, (words, cells) in enumerate(series.items()):
        compared = [(cell.called, cell.ratio) for cell in cells if cell.ratio]
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
