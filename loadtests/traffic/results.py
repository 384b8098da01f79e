"""What the measurements find. Times are seconds, memory is bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Final, TypeVar, get_args, get_type_hints

Result = TypeVar("Result")

GREATEST: Final = 1e18
"""No number that is measured comes near; JSON may hold others that are too great to compute with, and NaN."""

_DIVISORS: Final = {"seconds", "count", "connections"}
"""What numbers are computed for each of: more than nothing."""


def revived(kind: type[Result], document: Mapping[str, Any]) -> Result:
    """Return the result that `dataclasses.asdict` and JSON made this document of.

    Raises:
        TypeError: a field is missing, one too many, or of another type; or there are no fields.
        ValueError: likewise, inside one.
    """
    if not isinstance(document, Mapping):
        raise TypeError(f"{document!r:.40} is no {kind.__name__}")
    hints = get_type_hints(kind)
    if unknown := document.keys() - hints.keys():
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    values = {
        name: revived(hints[name], value)
        if is_dataclass(hints[name])
        else fitting(f"{name} of {kind.__name__}", value, *(get_args(hints[name]) or [hints[name]]))
        for name, value in document.items()
    }
    if nothing := [
        name for name in _DIVISORS & values.keys() if values[name] is not None and values[name] <= 0
    ]:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(nothing))} above zero")
    return kind(**values)


def fitting(what: str, value: Any, *kinds: type[Any]) -> Any:
    """Return a value of JSON that is of one of these types; a whole number passes for a float.

    Args:
        what: it is, for the error.
        value: as read.
        kinds: str, int, float, NoneType.

    Raises:
        TypeError: it is of none of them.
    """
    if isinstance(value, bool) or not isinstance(value, (*kinds, int) if float in kinds else kinds):
        raise TypeError(f"{what} is {value!r:.40}")
    if isinstance(value, int | float) and not -GREATEST <= value <= GREATEST:
        raise TypeError(f"{what} is out of bounds")
    return value


@dataclass(frozen=True, slots=True)
class Span:
    """What a stretch of time cost.

    Attributes:
        seconds: its length.
        gateway: CPU seconds, user and system, of all its processes.
        backend: likewise, of the echo backend.
        auth: likewise, of Auth.
        load: likewise, of the load process itself.
    """

    seconds: float
    gateway: float
    backend: float
    auth: float
    load: float


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A distribution of seconds; differences may be negative.

    Attributes:
        count: how many were measured.
        p50: the median.
        p90: nine in ten were at most this.
        p99: 99 % were at most this.
        p999: 99.9 % were at most this.
        max: the greatest.
    """

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """A closed loop of messages, as fast as it goes, over the measured window only.

    Attributes:
        window: what it cost.
        count: echoes that arrived in it.
        latency: from sending a message to its echo; the gateway is saturated, so this is mostly waiting in line.
    """

    window: Span
    count: int
    latency: Percentiles


@dataclass(frozen=True, slots=True)
class FixedRate:
    """Messages at times that were fixed beforehand, however late echoes were.

    Attributes:
        window: what it cost.
        count: messages that were due in it; each came back.
        latency: from the time a message was due to its echo.
        paired: the same less that of the message which a companion sent straight to the backend in the next moment.
        lateness: how long after it was due the load itself sent a message; part of the latency.
    """

    window: Span
    count: int
    latency: Percentiles
    paired: Percentiles
    lateness: Percentiles


@dataclass(frozen=True, slots=True)
class Connecting:
    """Opening connections and closing each with a handshake.

    Attributes:
        count: connections.
        opening: what it cost until all of them were open.
        closing: what it cost from then until all of them were closed.
    """

    count: int
    opening: Span
    closing: Span


@dataclass(frozen=True, slots=True)
class Connects:
    """What letting somebody in costs.

    Attributes:
        new: with tokens that the gateway has not seen.
        known: with tokens that it has.
        mixed: one new token to four known ones.
    """

    new: Connecting
    known: Connecting
    mixed: Connecting


@dataclass(frozen=True, slots=True)
class Memory:
    """What open connections take.

    Attributes:
        connections: how many were opened.
        rss_before: resident memory of the gateway, after one connection had been made and closed.
        rss_idle: with all of them open, before any message.
        rss_busy: after messages both ways on each of them.
    """

    connections: int
    rss_before: int
    rss_idle: int
    rss_busy: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Many connections at once, each of them served.

    Attributes:
        connections: how many were held.
        opening: what it cost to open them.
        window: what serving them cost.
        count: messages that were due meanwhile; each came back.
        latency: from the time a message was due to its echo.
        rss_before: resident memory of the gateway, after one connection had been made and closed.
        rss_held: with all of them open, after the messages.
        open_files: of that process of the gateway which has the most.
        open_files_limit: that process's.
        memory_available: what the machine has left, with all of them open.
        ports: how many the machine can use towards one address and port.
    """

    connections: int
    opening: Span
    window: Span
    count: int
    latency: Percentiles
    rss_before: int
    rss_held: int
    open_files: int
    open_files_limit: int
    memory_available: int
    ports: int
