"""What the load process is asked (one JSON object on its standard input) and what it answers (one on its output)."""

from __future__ import annotations

from dataclasses import dataclass


class LoadError(Exception):
    """A connection failed or a message was lost: there is no result. The message says what and where."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the load goes to.

    Attributes:
        url: of the WebSocket.
        headers: of the handshakes, one dict per connection: whose connection it is.
        gateway_pids: the processes whose CPU and memory are measured; none for no gateway.
        backend_pids: the echo backend.
    """

    url: str
    headers: list[dict[str, str]]
    gateway_pids: list[int]
    backend_pids: list[int]


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """What a closed loop of messages cost, over the measured window only.

    Attributes:
        connections: how many took part.
        size: of a message, in bytes of payload.
        seconds: length of the window.
        count: echoes that arrived in it.
        gateway_cpu_seconds: user and system.
        backend_cpu_seconds: likewise, of the echo backend.
        load_cpu_seconds: likewise, of the load process.
        p50_seconds: median time from sending a message to its echo.
        p99_seconds: 99th percentile of the same.
    """

    connections: int
    size: int
    seconds: float
    count: int
    gateway_cpu_seconds: float
    backend_cpu_seconds: float
    load_cpu_seconds: float
    p50_seconds: float
    p99_seconds: float


@dataclass(frozen=True, slots=True)
class Idle:
    """What connections cost that do nothing.

    Attributes:
        connections: how many were opened.
        rss_before: resident memory of the gateway with one connection made before, in bytes.
        rss_after: with all of them open.
    """

    connections: int
    rss_before: int
    rss_after: int


@dataclass(frozen=True, slots=True)
class Connects:
    """What connecting and closing cost.

    Attributes:
        count: connections that were opened and closed again.
        seconds: how long all of them took.
        gateway_cpu_seconds: user and system.
    """

    count: int
    seconds: float
    gateway_cpu_seconds: float


Result = RoundTrips | Idle | Connects
