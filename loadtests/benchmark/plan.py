"""The plan: the cases of each measurement, which peers are measured in which round, and about how long it takes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.analysis.measurements import MEASUREMENTS, Case
from loadtests.peers.peer import DIRECT, OURS, Peer

START_SECONDS: Final = 1.0
"""About how long a peer and the load take to start and to end."""

CONNECT_SECONDS: Final = 0.0012
"""About how long a connection takes to open and to close."""

WARM_UP_SECONDS: Final = 0.7
"""About how long messages flow before the window."""

LATENCY_WINDOWS: Final = 3
"""How many windows the messages at a fixed rate last: there are fewer of them, and a percentile needs many."""


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement of one peer in one round."""

    round: int
    case: Case
    peer: Peer

    @property
    def what(self) -> str:
        """What is measured, in words."""
        return f"{self.case.measurement}, {self.case}"

    def __str__(self) -> str:
        """Return it for a line of progress."""
        return f"round {self.round}, {self.what}, {self.peer.name}"

    def seconds(self) -> float:
        """Return about how long it takes."""
        connecting = MEASUREMENTS[self.case.measurement].opened * self.case.connections * CONNECT_SECONDS
        window = self.case.seconds + WARM_UP_SECONDS if self.case.seconds else 0.0
        return START_SECONDS + connecting + window


def cases(options: Namespace) -> Iterator[Case]:
    """Return what the options of the command line measure, in the order of the tables."""
    size, seconds = options.sizes[0], options.seconds
    for name in MEASUREMENTS:
        if name not in options.measure:
            continue
        if name == "round-trips":
            for each in dict.fromkeys(options.sizes):
                yield from (Case(name, n, each, None, seconds) for n in dict.fromkeys(options.connections))
        elif name == "latency":
            yield from (
                Case(name, n, size, rate, LATENCY_WINDOWS * seconds)
                for n, rate in dict.fromkeys(options.rates)
            )
        elif name == "connects":
            yield Case(name, options.connects)
        elif name == "memory":
            yield Case(name, max(options.connections), size)
        else:
            yield Case(name, options.hold, size, 1, seconds)


def tasks(options: Namespace, peers: Sequence[Peer]) -> list[Task]:
    """Return all there is to do: each peer in turn, so that a machine that drifts does so for all (A B C A B C …)."""
    return [
        Task(number, case, peer)
        for number in range(1, options.rounds + 1)
        for case in cases(options)
        for peer in peers
        if _is_measured(case, number, peer.name, [each.name for each in peers])
    ]


def _is_measured(case: Case, number: int, peer: str, peers: Sequence[str]) -> bool:
    measurement = MEASUREMENTS[case.measurement]
    if measurement.needs_gateway and peer == DIRECT:
        return False
    return not measurement.once or (number == 1 and (peer == OURS or OURS not in peers))
