"""The text of a run: for each measurement a table of its figures and one of ratios, and all ratios on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Final

from loadtests.analysis.cells import Cell
from loadtests.analysis.measurements import MEASUREMENTS
from loadtests.peers.peer import OURS

NOTHING: Final = "-"

WIDTH: Final = 120
"""How many characters of a line people can be expected to have room for."""

NAMES: Final = 2
"""How many columns at the left say what a row is."""

BETWEEN: Final = "  "

_UNLIKE: Final = "*"
_NOTE: Final = f"{_UNLIKE} asks no Auth, which makes a connect cheaper"


def tables(cells: Sequence[Cell]) -> str:
    """Return a table of each measurement's figures, and one of its ratios: medians, with least and most over the rounds."""
    parts = []
    for name, measurement in MEASUREMENTS.items():
        if found := [cell for cell in cells if cell.case.measurement == name]:
            parts.append(
                measurement.title.upper() + "\n" + "\n".join(textwrap.wrap(measurement.about, WIDTH))
            )
            titles = [figure.heading for figure in measurement.figures]
            parts.append(
                _table(
                    ["connections", "peer", *titles],
                    found,
                    lambda cell: (str(cell.case), cell.called, cell.figure.heading),
                    lambda cell: cell.median if cell.figure.brief else cell.shown,
                )
            )
            if compared := [cell for cell in found if cell.ratio]:
                titles = [figure.heading for figure in measurement.figures if figure.compared]
                parts.append(
                    _table(
                        ["connections", "ratio", *titles],
                        compared,
                        lambda cell: (str(cell.case), f"{OURS} ÷ {cell.called}", cell.figure.heading),
                        lambda cell: cell.ratio.shown(2) if cell.ratio else NOTHING,
                    )
                )
    return "\n\n".join(parts)


def summary(cells: Sequence[Cell]) -> str:
    """Return the medians of all ratios, a column for each peer; "" if there are none."""
    compared = [cell for cell in cells if cell.ratio]
    if not compared:
        return ""
    table = _table(
        ["figure", "connections", *dict.fromkeys(cell.peer for cell in compared)],
        compared,
        lambda cell: (cell.figure.heading, str(cell.case), cell.peer),
        lambda cell: f"{cell.ratio.median:.2f}{_UNLIKE * cell.does_less}" if cell.ratio else NOTHING,
    )
    about = f"{OURS.upper()} ÷ PEER\nMedians of the rounds' ratios; below 1 ours costs less."
    return "\n".join([about, table, *([_NOTE] if _UNLIKE in table else [])])


def _table(
    head: Sequence[str],
    cells: Sequence[Cell],
    place: Callable[[Cell], tuple[str, str, str]],
    text: Callable[[Cell], str],
) -> str:
    """Return cells as a table: `place` gives the two names of a cell's row and the title of its column."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for cell in cells:
        *names, title = place(cell)
        rows.setdefault((names[0], names[1]), {})[title] = text(cell)
    lines = [[*names, *(row.get(title, NOTHING) for title in head[NAMES:])] for names, row in rows.items()]
    return aligned([head, *lines])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as a table; the first line is its head, and the first `NAMES` columns say what a row is.

    A table wider than `WIDTH` continues below, with the same names.
    """
    columns = []
    for head, *cells in zip(*lines, strict=True):
        width = max(map(len, [head, *cells]))
        columns.append([cell.ljust(width) for cell in (head, "-" * width, *cells)])
    names, others = columns[:NAMES], columns[NAMES:]
    blocks = [[*names]]
    for column in others:
        width = sum(len(each[0] + BETWEEN) for each in blocks[-1]) + len(column[0])
        if width > WIDTH and len(blocks[-1]) > NAMES:
            blocks.append([*names])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join(BETWEEN.join(row).rstrip() for row in zip(*block, strict=True)) for block in blocks
    )
