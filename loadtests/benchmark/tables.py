"""The text of a run: for each measurement a table of its figures and one of ratios, and all ratios on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Final

from loadtests.analysis.cells import Cell
from loadtests.analysis.measurements import MEASUREMENTS
from loadtests.peers.catalogue import OURS

NOTHING: Final = "-"

WIDTH: Final = 120
"""How many characters of a line people can be expected to have room for."""

NAMES: Final = 2
"""How many columns at the left say what a row is."""

BETWEEN: Final = "  "

RATIO_DECIMALS: Final = 2

_UNLIKE: Final = "*"
_NOTE: Final = f"{_UNLIKE} asks no Auth, which makes a connect cheaper"


def tables(cells: Sequence[Cell]) -> str:
    """Return a table of each measurement's figures, and one of its ratios: medians, with least and most over the rounds."""
    parts = []
    for name, measurement in MEASUREMENTS.items():
        if found := [cell for cell in cells if cell.case.measurement == name]:
            about = "\n".join(textwrap.wrap(measurement.about, WIDTH))
            titles = [figure.heading for figure in measurement.figures]
            parts += [f"{measurement.title.upper()}\n{about}", _table("peer", titles, found, _value)]
            if compared := [cell for cell in found if cell.ratio]:
                titles = [figure.heading for figure in measurement.figures if figure.compared]
                parts.append(_table("ratio", titles, compared, _ratio, before=f"{OURS} ÷ "))
    return "\n\n".join(parts)


def _table(
    name: str, titles: Sequence[str], cells: Sequence[Cell], text: Callable[[Cell], str], before: str = ""
) -> str:
    """Return a row for each case and peer, and a column for each figure."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for cell in cells:
        rows.setdefault((str(cell.case), before + cell.called), {})[cell.figure.heading] = text(cell)
    lines = [[*names, *(row.get(title, NOTHING) for title in titles)] for names, row in rows.items()]
    return aligned([["connections", name, *titles], *lines])


def _value(cell: Cell) -> str:
    if cell.figure.brief:
        return cell.median
    return f"{'≥ ' * cell.at_least}{cell.spread.shown(cell.figure.decimals)}"


def _ratio(cell: Cell) -> str:
    return cell.ratio.shown(RATIO_DECIMALS) if cell.ratio else NOTHING


def summary(cells: Sequence[Cell]) -> str:
    """Return the medians of all ratios, a column for each peer; "" if there are none."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for cell in cells:
        if cell.ratio:
            ratio = f"{cell.ratio.median:.{RATIO_DECIMALS}f}{_UNLIKE * cell.does_less}"
            rows.setdefault((cell.figure.heading, str(cell.case)), {})[cell.peer] = ratio
    if not rows:
        return ""
    peers = list(dict.fromkeys(cell.peer for cell in cells if cell.ratio))
    table = aligned(
        [
            ["figure", "connections", *peers],
            *([*names, *(row.get(peer, NOTHING) for peer in peers)] for names, row in rows.items()),
        ]
    )
    about = f"{OURS.upper()} ÷ PEER\nMedians of the rounds' ratios; below 1 ours costs less."
    return "\n".join([about, table, *([_NOTE] if _UNLIKE in table else [])])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as a table; the first line is its head, and the first `NAMES` columns say what a row is.

    A table wider than `WIDTH` continues below, with the same names.
    """
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return "\n\n".join(
        _block([columns[index] for index in block], [widths[index] for index in block])
        for block in _blocks(widths)
    )


def _blocks(widths: Sequence[int]) -> list[list[int]]:
    """Return which columns stand beside each other: as many as fit, at least one."""
    names = list(range(NAMES))
    blocks = [[*names]]
    for index in range(NAMES, len(widths)):
        wide = sum(widths[each] + len(BETWEEN) for each in blocks[-1]) + widths[index]
        if wide > WIDTH and len(blocks[-1]) > NAMES:
            blocks.append([*names])
        blocks[-1].append(index)
    return blocks


def _block(columns: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    rows = [
        BETWEEN.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in zip(*columns, strict=True)
    ]
    rows.insert(1, BETWEEN.join("-" * width for width in widths))
    return "\n".join(row.rstrip() for row in rows)
