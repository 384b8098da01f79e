"""The tables of a run: for each measurement its figures, and what ours is of the others'."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from loadtests.benchmark.cases import MEASUREMENTS, Case
from loadtests.benchmark.figure import Figure, Spread, called, is_bounded_by_load, ratios, values
from loadtests.benchmark.figures import FIGURES
from loadtests.benchmark.rows import Record
from loadtests.peers.catalogue import OURS

NOTHING: Final = "-"

WIDTH: Final = 120
"""How many characters of a line people can be expected to have room for."""

NAMES: Final = 2
BETWEEN: Final = "  "

RATIO_DECIMALS: Final = 2

_NOTES: Final = {
    "round-trips": "A closed loop, as fast as it goes. ≥ the load's core was full before the gateway's: it can do more.",
    "latency": "From when a message was due. added: less direct's of the same round. paired: less that of the message "
    "sent straight to the backend in the next moment. sent late: the load's own part.",
    "connects": "connect: opened and closed with a handshake; open: without closing; connects/s while opening. ≥ load, backend and Auth were full.",
    "memory": "Resident memory above that with none, of all its processes.",
}


def tables(record: Record) -> str:
    """Write all of them: medians, with least and most over the rounds where there are several."""
    parts = []
    for name, measurement in MEASUREMENTS.items():
        if cases := record.cases(name):
            parts.append(f"{measurement.about.upper()}\n{_NOTES.get(name, '')}".strip())
            parts += [_figures(record, cases, FIGURES[name]), _ratios(record, cases, FIGURES[name])]
    return "\n\n".join(part for part in parts if part)


def _figures(record: Record, cases: Sequence[Case], figures: Sequence[Figure]) -> str:
    lines = [["connections", "peer", *(figure.title for figure in figures)]]
    lines += [
        [str(case), called(peer, case), *(_cell(figure, record, case, peer) for figure in figures)]
        for case in cases
        for peer in record.peers
        if record.of(case, peer)
    ]
    return aligned(lines)


def _ratios(record: Record, cases: Sequence[Case], figures: Sequence[Figure]) -> str:
    compared = [figure for figure in figures if figure.compared]
    lines = []
    for case in cases:
        for peer in record.peers:
            cells = [
                shown(ratios(figure, record, case, peer).values(), RATIO_DECIMALS) for figure in compared
            ]
            if set(cells) - {NOTHING}:
                lines.append([str(case), f"{OURS} ÷ {called(peer, case)}", *cells])
    title = ["connections", "ratio", *(figure.title for figure in compared)]
    return aligned([title, *lines]) if lines else ""


def _cell(figure: Figure, record: Record, case: Case, peer: str) -> str:
    numbers = values(figure, record, case, peer).values()
    text = shown([statistics.median(numbers)] if figure.brief and numbers else numbers, figure.decimals)
    return f"≥ {text}" if is_bounded_by_load(figure, record, case, peer) else text


def shown(numbers: Iterable[float], decimals: int) -> str:
    """Write `median (least…most)`, or the one number there is."""
    spread = Spread.of(numbers)
    if spread is None:
        return NOTHING
    median = f"{spread.median:,.{decimals}f}"
    if spread.least == spread.most:
        return median
    return f"{median} ({spread.least:,.{decimals}f}…{spread.most:,.{decimals}f})"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Write lines of cells as a table; the first line is its head, and the first `NAMES` columns say what a row is.

    A table wider than `WIDTH` goes on below, with the same names.
    """
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return "\n\n".join(
        _block([columns[index] for index in block], [widths[index] for index in block])
        for block in _blocks(widths)
    )


def _blocks(widths: Sequence[int]) -> list[list[int]]:
    """Return which columns stand beside each other: as many as fit, one at least."""
    names = list(range(min(NAMES, len(widths))))
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
