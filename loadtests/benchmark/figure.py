"""A number of interest: its values by round, ours ÷ a peer's, and whether the load stood in its way."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from loadtests.benchmark.cases import Case
from loadtests.benchmark.rows import Record
from loadtests.common.machine import Cores
from loadtests.peers.catalogue import OURS, PEERS
from loadtests.peers.direct import Direct
from loadtests.traffic.results import Span

FULL: Final = 0.95
"""From this share of its core on, the load and not the gateway is what limits a rate."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Sum up values; None for no value."""
        listed = list(values)
        return cls(statistics.median(listed), min(listed), max(listed)) if listed else None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of interest.

    Attributes:
        name: what targets and JSON call it.
        title: what a table calls it.
        unit: of its values.
        decimals: how exactly to show it.
        value: computes it from a result; None where there is none.
        compared: whether ours is divided by the other peers'.
        added: whether it is what the peer has more than `direct` in the same round.
        brief: whether a table shows its median only.
        span: for a rate, the stretch it was measured in: where the load was full, the peer can do more.
    """

    name: str
    title: str
    unit: str
    decimals: int
    value: Callable[[Any], float | None]
    compared: bool = False
    added: bool = False
    brief: bool = False
    span: Callable[[Any], Span] | None = None


def values(figure: Figure, record: Record, case: Case, peer: str) -> dict[int, float]:
    """Return a peer's values by round."""
    results = record.of(case, peer)
    found = {number: value for number, row in results.items() if (value := figure.value(row)) is not None}
    if not figure.added:
        return found
    if peer == Direct.name:
        return {}
    alone = {number: figure.value(row) for number, row in record.of(case, Direct.name).items()}
    return {
        number: value - base for number, value in found.items() if (base := alone.get(number)) is not None
    }


def ratios(figure: Figure, record: Record, case: Case, peer: str) -> dict[int, float]:
    """Return ours ÷ the peer's by round, each against the other's same round.

    None of them where one value is zero or less: leaving out that round alone would flatter one of the two.
    """
    if not figure.compared or peer == OURS:
        return {}
    ours = values(figure, record, case, OURS)
    theirs = values(figure, record, case, peer)
    pairs = {number: (ours[number], theirs[number]) for number in sorted(ours.keys() & theirs.keys())}
    if any(value <= 0 for pair in pairs.values() for value in pair):
        return {}
    return {number: mine / other for number, (mine, other) in pairs.items()}


def asks_nobody(peer: str, case: Case) -> bool:
    """Tell whether a connect is cheaper for a peer since it asks no Auth: compared with ours it does less."""
    return case.measurement == "connects" and peer in PEERS and not PEERS[peer].asks_auth


def called(peer: str, case: Case) -> str:
    """Return what a table of a case calls a peer."""
    return f"{peer} (no auth)" if asks_nobody(peer, case) else peer


def is_bounded_by_load(figure: Figure, record: Record, case: Case, peer: str) -> bool:
    """Tell whether the load was full in some round, so that the peer's rate is the load's own."""
    if figure.span is None:
        return False
    return any(load_share(record.cores, figure.span(row)) >= FULL for row in record.of(case, peer).values())


def load_share(cores: Cores, span: Span) -> float:
    """Return how busy the fullest core was, of those that load, backend and Auth have."""
    shares = (span.load, span.backend, span.auth)
    on_one_core = cores.load is None or len(cores.load) == 1
    return (sum(shares) if on_one_core else max(shares)) / span.seconds
