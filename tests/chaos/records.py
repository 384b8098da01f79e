"""What a chaos run writes down, and what it finds in it. Times are `time.monotonic` seconds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.chaos.pauses import NO_PAUSES, Pauses

from memmie_harness.numbered import Life


@dataclass
class Spell:
    """The time of one fault and what it may cost.

    Attributes:
        name: the fault and its target.
        began: when it began.
        ended: when it ended; infinite while it lasts.
        ends: whether connections may end in its reach.
        late: whether acknowledgements may be late in its reach.
        refused: whether clients may be refused, wherever they connect.
        studios: the Studios in its reach.
        gateways: the gateways in its reach, by their WebSocket address.
        pairs: connections between a gateway and a Studio in its reach.
    """

    name: str
    began: float
    ended: float = float("inf")
    ends: bool = False
    late: bool = False
    refused: bool = False
    studios: Collection[str] = ()
    gateways: Collection[str] = ()
    pairs: Collection[tuple[str, str]] = ()

    def lasts(self, at: float, grace: float, pauses: Pauses = NO_PAUSES) -> bool:
        """Tell whether its effects may be seen at this time.

        Args:
            at: the time.
            grace: seconds for which they may be seen after its end.
            pauses: the pauses of the run, by which the grace is longer.
        """
        return self.began <= at <= self.ended + grace + pauses.within(self.ended, at)

    def reaches(self, gateway: str, studio: str) -> bool:
        """Tell whether a connection is in its reach; one without a Studio yet is, if any of that gateway may be."""
        return gateway in self.gateways or self.reaches_studio(gateway, studio)

    def reaches_studio(self, gateway: str, studio: str) -> bool:
        """Tell whether the Studio, or the gateway's way to it, is in its reach."""
        if studio in self.studios or (gateway, studio) in self.pairs:
            return True
        return not studio and bool(self.studios or self.pairs)


@dataclass
class Watch:
    """One connection of a witness.

    Attributes:
        life: its opening, its end, its gateway and its Studio; nothing is numbered on it.
        sequence: the sequences of the events, in the order they came.
        pushed: what Studio said it had sent, with the number of events that had come by then.
        left: whether the witness itself closed it.
    """

    life: Life
    sequence: list[int] = field(default_factory=list)
    pushed: list[tuple[int, int]] = field(default_factory=list)
    left: bool = False


@dataclass
class Call:
    """One HTTP request.

    Attributes:
        url: the WebSocket address of the gateway that was asked.
        method: the method.
        number: the number in its body, if it has one; each number is sent once.
        began: when it was sent.
        ended: when the answer had come, or the connection had ended; None before.
        status: the status of the answer; 0 if there was none, or only a part of one.
        words: the code of a refusal, or what happened instead of an answer.
    """

    url: str
    method: str
    number: int
    began: float
    ended: float | None = None
    status: int = 0
    words: str = ""


@dataclass(frozen=True)
class Usage:
    """What a gateway holds.

    Attributes:
        connections: live connections of clients.
        pending: connections of clients that are not answered yet.
        to_auth: connections to Auth, as its relay sees them.
        to_studios: the same for all Studios together.
        descriptors: open file descriptors of its process.
        tasks: unfinished asyncio tasks of its process.
        places: connections and requests that count for a user or an address.
        socketio: what its process has of clients that speak Socket.IO: their ids, transports and translations.
        memory: resident memory of its process, in bytes.
    """

    connections: float
    pending: float
    to_auth: int
    to_studios: int
    descriptors: int
    tasks: int
    places: int
    socketio: int
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.connections:g} clients, {self.to_auth} connections to Auth, {self.to_studios} to Studios, "
            f"{self.descriptors} descriptors, {self.tasks} tasks, {self.places} places, {self.socketio} objects of Socket.IO, "
            f"{self.memory / 2**20:.0f} MiB"
        )


@dataclass(frozen=True)
class Violation:
    """Something that an invariant forbids.

    Attributes:
        words: what it is.
        at: when it happened; None if it has no time of its own.
    """

    words: str
    at: float | None = None
