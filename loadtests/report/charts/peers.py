"""Peers side by side: what each costs, and what ours is of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtests.analysis.cells import Cell, Spread
from loadtests.peers.peer import OURS
from loadtests.report.charts.chart import INK, JSON, LOOKS, Chart, axis, label, rounded, vertical

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
        "marker": {"color": [LOOKS["gateway" if cell.peer == OURS else "other"].colour for cell in ranked]},
        "error_x": _whiskers([cell.spread for cell in ranked]),
        "customdata": [
            _hover(cell.called, cell.spread.shown(figure.decimals), figure.unit) for cell in ranked
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    layout = {
        "xaxis": axis(label(figure.unit), rangemode="tozero"),
        "yaxis": _rows([f"{_name(cell.called)}  {cell.median}" for cell in ranked]),
    }
    return Chart(title, "", [bar], layout, height=ROUND_THE_ROWS + ROW * len(ranked))


def ratios(title: str, series: Mapping[str, Sequence[Cell]]) -> Chart:
    """Return ours ÷ the peers': a row for each peer, and in it a point for each series.

    Args:
        title: of the chart.
        series: cells with a ratio, by what was compared, in words.
    """
    peers = list(dict.fromkeys(cell.called for cells in series.values() for cell in cells))[::-1]
    step = 0.7 / len(series)
    looks = list(LOOKS.values())
    traces: list[JSON] = []
    for number, (words, cells) in enumerate(series.items()):
        compared = [(cell.called, cell.ratio) for cell in cells if cell.ratio]
        look = looks[number % len(looks)]
        offset = step * ((len(series) - 1) / 2 - number)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label(words),
                "x": [rounded(ratio.median) for _, ratio in compared],
                "y": [peers.index(peer) + offset for peer, _ in compared],
                "marker": look.points(9),
                "error_x": {**_whiskers([ratio for _, ratio in compared]), "color": look.colour},
                "customdata": [_hover(peer, ratio.shown(2), "") for peer, ratio in compared],
                "hovertemplate": "%{customdata}",
            }
        )
    layout = {
        "xaxis": axis(f"{OURS} ÷ peer", rangemode="tozero"),
        "yaxis": _rows([_name(peer) for peer in peers]),
        "hovermode": "closest",
        "shapes": [vertical(1, INK)],
    }
    height = ROUND_THE_ROWS + 22 * len(series) + max(ROW, 16 * len(series)) * len(peers)
    return Chart(title, "", traces, layout, height=height)


def _rows(names: Sequence[str]) -> JSON:
    return axis(
        tickvals=list(range(len(names))),
        ticktext=list(names),
        range=[-0.6, len(names) - 0.4],
        showgrid=False,
        tickfont={"size": 13, "color": INK},
    )


def _name(peer: str) -> str:
    return f"<b>{label(peer)}</b>" if peer == OURS else label(peer)


def _whiskers(spreads: Sequence[Spread]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [rounded(spread.most - spread.median) for spread in spreads],
        "arrayminus": [rounded(spread.median - spread.least) for spread in spreads],
        "color": INK,
        "thickness": 1.5,
        "width": 4,
    }


def _hover(peer: str, shown: str, unit: str) -> str:
    return label(f"{peer} {shown} {unit}".rstrip())
