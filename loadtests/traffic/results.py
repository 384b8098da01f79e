"""What the load is asked, what it finds, and the cost of a stretch of time. Times are seconds, memory is bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Final

from annotated_types import Interval

from loadtests.common.distribution import quantile
from loadtests.common.usage import cpu_seconds

# No measured number comes near these bounds. A JSON file may hold NaN, and numbers that are too great to compute with.
Number = Annotated[float, Interval(ge=-1e18, le=1e18)]
Positive = Annotated[float, Interval(gt=0, le=1e18)]
Count = Annotated[int, Interval(gt=0, le=10**18)]
Whole = Annotated[int, Interval(ge=0, le=10**18)]


@dataclass(frozen=True, slots=True)
class Target:
    """What the load goes to."""

    url: str  # to connect to
    headers: list[dict[str, str]] = field(
        repr=False
    )  # of each connection's request, with the token of its user
    gateway_pids: list[int]  # the gateway's processes; none without a gateway
    backend_pids: list[int]  # of the echo backend
    auth_pids: list[int]  # of the Auth that validates the tokens
    direct_url: str  # the backend's own WebSocket, for messages that go past the gateway


@dataclass(frozen=True, slots=True)
class Span:
    """What a stretch of time cost: its length, and the CPU seconds, user and system, of each side."""

    seconds: Positive
    gateway: Number
    backend: Number
    auth: Number
    load: Number


def total(spans: Sequence[Span]) -> Span:
    """Return the sum of spans."""
    return Span(**{each.name: sum(getattr(span, each.name) for span in spans) for each in fields(Span)})


class Meter:
    """Measures what a stretch of time costs the processes of a target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._last = self._read()

    def lap(self) -> Span:
        """Return the cost since the last call, or since the beginning."""
        before, self._last = self._last, self._read()
        return Span(*(now - then for now, then in zip(self._last, before, strict=True)))

    def _read(self) -> list[float]:
        """Return the clocks, in the order of a span's fields."""
        target = self._target
        watched = map(cpu_seconds, (target.gateway_pids, target.backend_pids, target.auth_pids))
        return [time.perf_counter(), *watched, time.process_time()]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A distribution of seconds; differences may be negative."""

    count: Count
    p50: Number
    p90: Number
    p99: Number
    p999: Number
    max: Number

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Percentiles:
        """Return the distribution of at least one value."""
        ordered = sorted(seconds)
        return cls(len(ordered), *(quantile(ordered, share) for share in (0.5, 0.9, 0.99, 0.999, 1.0)))


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """A closed loop of messages, as fast as it goes."""

    window: Span  # what the measured window cost
    count: Count  # echoes that arrived in it
    latency: Percentiles  # from sending to the echo; the gateway is saturated, so this is mostly queueing


@dataclass(frozen=True, slots=True)
class FixedRate:
    """Messages at times that were fixed beforehand, however late their echoes were."""

    window: Span  # what the measured window cost
    count: Count  # messages that were due in it; each came back
    latency: Percentiles  # from when a message was due to its echo
    paired: Percentiles  # less that of the message which a companion sent straight to the backend in the next moment
    lateness: Percentiles  # how long after it was due the load sent a message; a part of the latency


@dataclass(frozen=True, slots=True)
class Connecting:
    """Opening connections and closing each with a handshake, a few at a time."""

    count: Count
    opening: Span
    closing: Span


@dataclass(frozen=True, slots=True)
class Connects:
    """Admitting clients: with tokens new to the gateway, with known ones, and with one new token to four known ones."""

    new: Connecting
    known: Connecting
    mixed: Connecting


@dataclass(frozen=True, slots=True)
class Storm:
    """All clients come back at once, after all their connections broke at once."""

    count: Count  # how many they are
    back: Span  # from when the connections broke until the last client has its 101


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the gateway."""

    connections: Count  # how many were opened
    rss_before: Whole  # after one connection was opened and closed
    rss_idle: Whole  # with all of them open, before any message
    rss_busy: Whole  # after messages both ways on each of them


@dataclass(frozen=True, slots=True)
class Hold:
    """Many connections at once, each of them served."""

    connections: Count  # how many were held
    opening: Span  # what opening them cost
    window: Span  # what serving them cost
    count: Count  # messages that were due meanwhile; each came back
    latency: Percentiles  # from when a message was due to its echo
    rss_before: Whole  # resident memory of the gateway after one connection was opened and closed
    rss_held: Whole  # with all of them open, after the messages
    open_files: Whole  # of the gateway's process that has the most
    open_files_limit: Whole  # of that process
    memory_available: Whole  # what the machine has left with all of them open
    ports: Whole  # how many connections the machine can have to one address and port


@dataclass(frozen=True, slots=True)
class Exchange:
    """A closed loop of messages or requests, of which a fixed number is under way."""

    window: Span  # what the measured window cost
    count: Count  # answers that arrived in it


@dataclass(frozen=True, slots=True)
class SocketIo:
    """Events of Socket.IO clients."""

    acknowledged: Exchange  # each with an acknowledgement
    answered: Exchange  # each with an event as its answer


@dataclass(frozen=True, slots=True)
class Http:
    """HTTP requests."""

    get: Exchange  # without a body, of clients that keep their connections
    post: Exchange  # with a body, of clients that keep their connections
    alone: Exchange  # without a body, each on a connection of its own


Result = RoundTrips | FixedRate | Connects | Storm | Memory | Hold | SocketIo | Http

RESULTS: Final[dict[str, type[Result]]] = {
    "round-trips": RoundTrips,
    "latency": FixedRate,
    "connects": Connects,
    "storm": Storm,
    "memory": Memory,
    "hold": Hold,
    "socketio": SocketIo,
    "http": Http,
}
"""What each measurement finds."""
