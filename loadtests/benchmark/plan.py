"""The plan: the cases of each measurement, who is measured in which round, and about how long it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from loadtests.analysis.cases import Case
from loadtests.analysis.measurements import MEASUREMENTS
from loadtests.peers.catalogue import DIRECT, OURS
from loadtests.peers.peer import Peer

START_SECONDS: Final = 1.0
"""About how long a peer and the load take to start and to end."""

CONNECT_SECONDS: Final = 0.0012
"""About how long a connection takes to open and to close."""

WARM_UP_SECONDS: Final = 0.7
"""About how long messages flow before the window."""

LATENCY_WINDOWS: Final = 3
"""How many windows the messages at a fixed rate last: there are fewer of them, and a percentile needs many."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure.

    Attributes:
        peers: in the order of their turns.
        measure: names of measurements.
        connections: how many at once, for round trips.
        sizes: of their messages in bytes; the other measurements use the first.
        rates: how many connections, and how many messages a second of each, for latency.
        connects: how many tokens there are for the cost of connecting.
        hold: how many connections to hold.
        seconds: length of a window.
        rounds: how often everything is repeated.
    """

    peers: tuple[Peer, ...]
    measure: tuple[str, ...]
    connections: tuple[int, ...]
    sizes: tuple[int, ...]
    rates: tuple[tuple[int, float], ...]
    connects: int
    hold: int
    seconds: float
    rounds: int


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


def cases(settings: Settings) -> Iterator[Case]:
    """Return what is measured, in the order of the tables."""
    first, seconds = settings.sizes[0], settings.seconds
    of = {
        "round-trips": [
            Case("round-trips", connections, size=size, seconds=seconds)
            for size in settings.sizes
            for connections in settings.connections
        ],
        "latency": [
            Case("latency", connections, size=first, rate=rate, seconds=LATENCY_WINDOWS * seconds)
            for connections, rate in settings.rates
        ],
        "connects": [Case("connects", settings.connects)],
        "memory": [Case("memory", max(settings.connections), size=first)],
        "hold": [Case("hold", settings.hold, size=first, rate=1, seconds=seconds)],
    }
    return (case for name in MEASUREMENTS if name in settings.measure for case in of[name])


def tasks(settings: Settings) -> list[Task]:
    """Return all there is to do: each peer in turn, so that a machine that drifts does so for all (A B C A B C …)."""
    found = list(cases(settings))
    return [
        Task(number, case, peer)
        for number in range(1, settings.rounds + 1)
        for case in found
        for peer in settings.peers
        if _is_measured(case, number, peer, settings)
    ]


def _is_measured(case: Case, number: int, peer: Peer, settings: Settings) -> bool:
    measurement = MEASUREMENTS[case.measurement]
    if measurement.needs_gateway and peer.name == DIRECT:
        return False
    if not measurement.once:
        return True
    return number == 1 and (peer.name == OURS or all(other.name != OURS for other in settings.peers))
