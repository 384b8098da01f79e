"""The measurements: what each is about, the cases it is made in, what the load finds, and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from loadtests.analysis import figures
from loadtests.analysis.figures import Figure
from loadtests.traffic.results import Connects, Count, FixedRate, Hold, Memory, Positive, RoundTrips


@dataclass(frozen=True, slots=True)
class Case:
    """One way to make a measurement.

    Attributes:
        measurement: its name.
        connections: how many take part.
        size: of a message in bytes; None without messages.
        rate: messages a second of each connection; None if it is not fixed.
        seconds: length of the window; None without one.
    """

    measurement: str
    connections: Count
    size: Count | None = None
    rate: Positive | None = None
    seconds: Positive | None = None

    def __str__(self) -> str:
        """Return it for a cell of a table."""
        rate = [] if self.rate is None else [f"{self.rate:g}/s"]
        return " × ".join([f"{self.connections:,}", *rate, *self._size])  # noqa: RUF001 - a multiplication sign

    @property
    def described(self) -> str:
        """The case in words, for a title."""
        rate = [] if self.rate is None else [f"{self.rate:g}/s each"]
        return ", ".join([f"{self.connections:,} connections", *rate, *self._size])

    @property
    def _size(self) -> list[str]:
        if self.size is None:
            return []
        return [f"{self.size} B" if self.size % 1024 else f"{self.size // 1024} KiB"]


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
