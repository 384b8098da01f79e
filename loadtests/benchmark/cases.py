"""What is measured: each measurement, the cases it is done in, and about how long one takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtests.peers.catalogue import OURS
from loadtests.peers.direct import Direct
from loadtests.peers.peer import Peer
from loadtests.traffic.results import Connects, FixedRate, Hold, Memory, RoundTrips

START_SECONDS: Final = 1.0
"""About how long a peer and the load take to start and to end."""

CONNECT_SECONDS: Final = 0.0012
"""About how long a connection takes to open and to close."""

WARM_UP_SECONDS: Final = 0.7
"""About how long messages flow before the window."""

LATENCY_WINDOWS: Final = 3
"""How many windows the messages at a fixed rate go on for: there are fewer of them, and a percentile needs many."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way to do a measurement.

    Attributes:
        measurement: its name.
        connections: how many take part.
        size: of a message in bytes; None where there are no messages.
        rate: messages a second of each connection; None where it is not fixed.
        seconds: length of the window; None where there is none.
    """

    measurement: str
    connections: int
    size: int | None = None
    rate: float | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        """Say it in a cell of a table."""
        parts = [f"{self.connections:,}"]
        if self.rate is not None:
            parts.append(f"{self.rate:g}/s")
        if self.size is not None:
            parts.append(f"{self.size // 1024} KiB" if self.size % 1024 == 0 else f"{self.size} B")
        return " × ".join(parts)  # noqa: RUF001 - the sign is meant

    def options(self) -> dict[str, float]:
        """Return what the load has to know besides its target."""
        options = {"size": self.size, "rate": self.rate, "seconds": self.seconds}
        if self.measurement == "hold":
            del options["rate"]  # always one
        return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure.

    Attributes:
        peers: whom.
        measure: names of measurements.
        connections: with how many at once, for round trips.
        sizes: of their messages, in bytes; the other measurements use the first.
        rates: how many connections, and how many messages a second of each, for latency.
        connects: how many tokens there are for the cost of connecting.
        hold: how many connections to hold.
        seconds: length of a window.
        rounds: how often all is repeated.
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
class Measurement:
    """A kind of measurement.

    Attributes:
        about: what it is, in half a line.
        result: what the load finds.
        cases: what it is done with.
        opened: how many connections it opens for each of a case's.
        once: whether it is done in the first round only, and for ours alone where ours is among the peers.
        needs_gateway: whether it says nothing where there is no gateway.
    """

    about: str
    result: type[Any]
    cases: Callable[[Settings], Sequence[Case]]
    opened: float = 1.0
    once: bool = False
    needs_gateway: bool = False


def _round_trips(settings: Settings) -> list[Case]:
    return [
        Case("round-trips", connections, size=size, seconds=settings.seconds)
        for size in settings.sizes
        for connections in settings.connections
    ]


def _latency(settings: Settings) -> list[Case]:
    seconds = LATENCY_WINDOWS * settings.seconds
    return [
        Case("latency", connections, size=settings.sizes[0], rate=rate, seconds=seconds)
        for connections, rate in settings.rates
    ]


MEASUREMENTS: Final[dict[str, Measurement]] = {
    "round-trips": Measurement("CPU per round trip and most round trips a second", RoundTrips, _round_trips),
    "latency": Measurement("added latency at a fixed rate", FixedRate, _latency, opened=1.1),
    "connects": Measurement(
        "CPU per authenticated connect",
        Connects,
        lambda settings: [Case("connects", settings.connects)],
        opened=2.8,
        needs_gateway=True,
    ),
    "memory": Measurement(
        "memory per idle and per busy connection",
        Memory,
        lambda settings: [Case("memory", max(settings.connections), size=settings.sizes[0])],
        needs_gateway=True,
    ),
    "hold": Measurement(
        "many connections at once, each of them served",
        Hold,
        lambda settings: [
            Case("hold", settings.hold, size=settings.sizes[0], rate=1, seconds=settings.seconds)
        ],
        once=True,
    ),
}


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
        """Say it in a line of progress."""
        return f"round {self.round}, {self.what}, {self.peer.name}"

    def seconds(self) -> float:
        """Return about how long it takes."""
        connecting = MEASUREMENTS[self.case.measurement].opened * self.case.connections * CONNECT_SECONDS
        window = self.case.seconds + WARM_UP_SECONDS if self.case.seconds else 0.0
        return START_SECONDS + connecting + window


def cases(settings: Settings) -> list[Case]:
    """Return what is measured, in the order of the tables."""
    return [
        case
        for name, measurement in MEASUREMENTS.items()
        if name in settings.measure
        for case in measurement.cases(settings)
    ]


def tasks(settings: Settings) -> list[Task]:
    """Return all there is to do: each peer in turn, so that a machine that drifts does so for all (A B C A B C …)."""
    return [
        Task(number, case, peer)
        for number in range(1, settings.rounds + 1)
        for case in cases(settings)
        for peer in settings.peers
        if _is_measured(MEASUREMENTS[case.measurement], number, peer, settings.peers)
    ]


def _is_measured(measurement: Measurement, number: int, peer: Peer, peers: Sequence[Peer]) -> bool:
    if measurement.needs_gateway and peer.name == Direct.name:
        return False
    if not measurement.once:
        return True
    return number == 1 and (peer.name == OURS or all(other.name != OURS for other in peers))
