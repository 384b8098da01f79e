"""All ratios on one screen: what ours is of each peer, figure by figure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loadtests.benchmark.cases import MEASUREMENTS
from loadtests.benchmark.figure import Spread, asks_nobody, ratios
from loadtests.benchmark.figures import FIGURES
from loadtests.benchmark.rows import Record
from loadtests.benchmark.tables import NOTHING, RATIO_DECIMALS, aligned
from loadtests.peers.catalogue import OURS

_UNLIKE: Final = "*"
_NOTE: Final = f"{_UNLIKE} asks no Auth, and connects the cheaper for it"


def summary(record: Record) -> str:
    """Write the medians of all ratios, a column for each peer; "" where there is none."""
    lines = list(_lines(record))
    peers = [peer for peer in record.peers if any(peer in cells for _, _, cells in lines)]
    if not peers:
        return ""
    table = aligned(
        [
            ["figure", "connections", *peers],
            *([title, case, *(cells.get(peer, NOTHING) for peer in peers)] for title, case, cells in lines),
        ]
    )
    marked = any(cell.endswith(_UNLIKE) for _, _, cells in lines for cell in cells.values())
    about = f"{OURS.upper()} ÷ PEER\nMedians of the rounds' ratios; below 1 ours costs less."
    return "\n".join([about, table, *([_NOTE] if marked else [])])


def _lines(record: Record) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield title and case of each figure that is compared, and its ratio by peer."""
    for measurement in MEASUREMENTS:
        for figure in FIGURES[measurement]:
            for case in record.cases(measurement):
                found = {
                    peer: Spread.of(ratios(figure, record, case, peer).values()) for peer in record.peers
                }
                cells = {
                    peer: f"{ratio.median:.{RATIO_DECIMALS}f}{_UNLIKE * asks_nobody(peer, case)}"
                    for peer, ratio in found.items()
                    if ratio
                }
                if cells:
                    yield figure.title, str(case), cells
