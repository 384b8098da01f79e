"""What the load is asked, what it finds, and the cost of a stretch of time. Times are seconds, memory is bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

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
    """What the load goes to.

    Attributes:
        url: the WebSocket to connect to.
        headers: the request headers of each connection; they hold the token of its user.
        gateway_pids: the gateway's processes; none without a gateway.
        backend_pids: of the echo backend.
        auth_pids: of the Auth that validates the tokens.
        direct_url: the backend's own WebSocket, for messages that go past the gateway.
    """

    url: str
    headers: list[dict[str, str]]
    gateway_pids: list[int]
    backend_pids: list[int]
    auth_pids: list[int]
    direct_url: str

    def __repr__(self) -> str:
        """Leave out the headers: they hold tokens."""
        return f"<Target {self.url} connections={len(self.headers)}>"


@dataclass(frozen=True, slots=True)
class Span:
    """What a stretch of time cost: its length, and the CPU seconds, user and system, of each side."""

    seconds: Positive
    gateway: Number
    backend: Number
    auth: Number
    load: Number


class Meter:
    """Measures what a stretch of time costs the processes of a target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._last = self._read()

    def lap(self) -> Span:
        """Return the cost since the last call, or since the beginning.

        Raises:
            ProcessGoneError: a process has ended.
        """
        before, self._last = self._last, self._read()
        return Span(*(now - then for now, then in zip(self._last, before, strict=True)))

    def _read(self) -> tuple[float, float, float, float, float]:
        target = self._target
        return (
            time.perf_counter(),
            cpu_seconds(target.gateway_pids),
            cpu_seconds(target.backend_pids),
            cpu_seconds(target.auth_pids),
            time.process_time(),
        )


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
    """A closed loop of messages, as fast as it goes.

    Attributes:
        window: what the measured window cost.
        count: echoes that arrived in it.
        latency: from sending a message to its echo; the gateway is saturated, so this is mostly queueing.
    """

    window: Span
    count: Count
    latency: Percentiles


@dataclass(frozen=True, slots=True)
class FixedRate:
    """Messages at times that were fixed beforehand, however late their echoes were.

    Attributes:
        window: what the measured window cost.
        count: messages that were due in it; each came back.
        latency: from when a message was due to its echo.
        paired: the same, less that of the message which a companion sent straight to the backend in the next moment.
        lateness: how long after it was due the load sent a message; a part of the latency.
    """

    window: Span
    count: Count
    latency: Percentiles
    paired: Percentiles
    lateness: Percentiles


@dataclass(frozen=True, slots=True)
class Connecting:
    """Opening connections until all of them are open, and then closing each with a handshake."""

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
class Memory:
    """Resident memory of the gateway.

    Attributes:
        connections: how many were opened.
        rss_before: after one connection was opened and closed.
        rss_idle: with all of them open, before any message.
        rss_busy: after messages both ways on each of them.
    """

    connections: Count
    rss_before: Whole
    rss_idle: Whole
    rss_busy: Whole


@dataclass(frozen=True, slots=True)
class Hold:
    """Many connections at once, each of them served.

    Attributes:
        connections: how many were held.
        opening: what opening them cost.
        window: what serving them cost.
        count: messages that were due meanwhile; each came back.
        latency: from when a message was due to its echo.
        rss_before: resident memory of the gateway after one connection was opened and closed.
        rss_held: with all of them open, after the messages.
        open_files: of the gateway's process that has the most.
        open_files_limit: of that process.
        memory_available: what the machine has left with all of them open.
        ports: how many connections the machine can have to one address and port.
    """

    connections: Count
    opening: Span
    window: Span
    count: Count
    latency: Percentiles
    rss_before: Whole
    rss_held: Whole
    open_files: Whole
    open_files_limit: Whole
    memory_available: Whole
    ports: Whole
