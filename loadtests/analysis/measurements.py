"""The measurements: what each is about, what the load finds, and its figures in the order of the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from loadtests.analysis import figures
from loadtests.analysis.figures import Figure
from loadtests.traffic.results import Connects, FixedRate, Hold, Memory, RoundTrips


@dataclass(frozen=True, slots=True)
class Measurement:
    """A kind of measurement.

    Attributes:
        title: what it is, in half a line.
        about: how to read its numbers.
        result: what the load finds.
        figures: in the order of the columns.
        opened: how many connections it opens for each one of a case.
        once: whether it is made in the first round only, and of ours alone if ours is among the peers.
        needs_gateway: whether it means nothing without a gateway.
    """

    title: str
    about: str
    result: type[Any]
    figures: tuple[Figure, ...]
    opened: float = 1.0
    once: bool = False
    needs_gateway: bool = False


MEASUREMENTS: Final[dict[str, Measurement]] = {
    "round-trips": Measurement(
        "CPU per round trip and most round trips a second",
        "A closed loop, as fast as it goes: the CPU of all the gateway's processes for a message and its echo. "
        "≥ the load's core was full before the gateway's: it can do more.",
        RoundTrips,
        figures.ROUND_TRIPS,
    ),
    "latency": Measurement(
        "added latency at a fixed rate",
        "From when a message was due. added: less direct's of the same round. paired: less that of the message "
        "sent straight to the backend in the next moment. sent late: the load's own part.",
        FixedRate,
        figures.LATENCY,
        opened=1.1,
    ),
    "connects": Measurement(
        "CPU per authenticated connect",
        "With a token that the gateway has not seen, so it asks Auth, and with one that it has. connect: opened and closed "
        "with a handshake; open: without closing; connects/s while opening. ≥ load, backend and Auth were full. "
        "A peer that asks nobody (no auth) does less.",
        Connects,
        figures.CONNECTS,
        opened=2.8,
        needs_gateway=True,
    ),
    "memory": Measurement(
        "memory per idle and per busy connection",
        "Resident memory of all its processes, above that with no connection.",
        Memory,
        figures.MEMORY,
        needs_gateway=True,
    ),
    "hold": Measurement(
        "many connections at once, each of them served",
        "Each connection is served a message a second.",
        Hold,
        figures.HOLD,
        once=True,
    ),
}
