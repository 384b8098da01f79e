"""The record of a scenario's run: what run.json holds, and all that a report is made from.

Times are seconds, sizes bytes. No token is in here: addresses stand without their query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

Setting = str | int | float | bool | None

WHOLE: Final = "the whole run"

Path = str
"""Which way a message went: `GATEWAY` or `DIRECT`."""

GATEWAY: Final = "gateway"
DIRECT: Final = "direct"
OVERHEAD: Final = "overhead"
"""Not a way, but the paired difference of the two."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of seconds; differences may be negative. `quantiles` are pairs of a share and its seconds, rising."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float
    quantiles: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One kind of operation, as Locust counted it; the seconds are of those that succeeded, None if none did."""

    name: str
    count: int
    failures: int
    p50: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """How many operations of a kind failed for a reason such as `closed 1012` or `refused 503 no_studio`."""

    name: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Second:
    """One second of the run."""

    at: float  # its end, seconds since the start
    connections: int  # open at that moment, through the gateway
    messages: int  # completed in it
    failures: int  # operations that failed in it
    p50: float | None  # median latency of the messages through the gateway; None if there were none
    p99: float | None  # their 99th percentile; None if there were none
    gateway_cpu: float | None  # share of a core that the gateway used; None if it cannot be seen
    gateway_rss: int | None  # the gateway's resident memory; None if it cannot be seen


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done to the system, `at` seconds since the start."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A result of the scenario's own; `unit` is such as `s` or `bytes`, and empty for a count."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one threshold."""

    name: str  # such as `overhead p99`
    rule: str  # such as `< 10 ms`
    value: float | None  # what was measured; None if it was not
    shown: str  # the value for people, such as `4.2 ms`
    passed: bool | None  # whether the rule holds; None if it was not judged
    words: str = ""  # what a broken rule means


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario.

    It passed if it came to its end and every threshold holds. It may lack some latencies, and what was not reported.
    A connection without a close code ended with `no close frame`.
    """

    scenario: str  # its name
    about: str  # what it shows, in one sentence
    started: str  # when, ISO 8601 with its time zone
    seconds: float  # how long it took, ramp included
    gateway_url: str  # the WebSocket address that was loaded
    direct_url: str | None = None  # the Studio's own, to which some messages went for comparison
    settings: Mapping[str, Setting] = field(default_factory=dict)  # the options it ran with
    machine: Mapping[str, str | int] = field(default_factory=dict)  # what it ran on
    versions: Mapping[str, str] = field(default_factory=dict)  # of what took part
    latencies: Mapping[str, Latency] = field(default_factory=dict)  # by way, and the overhead
    requests: tuple[Request, ...] = ()  # by kind
    failures: tuple[Failure, ...] = ()  # by kind and reason
    closes: Mapping[str, int] = field(default_factory=dict)  # how many, by close code
    studios: Mapping[str, int] = field(default_factory=dict)  # connections on each at its height
    timeline: tuple[Second, ...] = ()  # second by second
    events: tuple[Event, ...] = ()  # what was done to the system
    figures: tuple[Figure, ...] = ()  # the scenario's own results
    thresholds: tuple[Verdict, ...] = ()  # the verdict on each
    measured: str = "the measured time"  # what the latencies are of, in words
    most_connections: int | None = None  # open through the gateway at once; None if that was only sampled
    stopped: str = ""  # why the scenario could not go on; "" if it came to its end
    passed: bool | None = True  # None if it was not judged
    not_judged: str = ""  # why it was not judged, such as `this machine was too busy: …`; "" if it was

    @property
    def scope(self) -> str:
        """What the latencies and everything else are of, in words."""
        if self.measured == WHOLE:
            return f"from {WHOLE}"
        return f"from {self.measured} only; all other figures are from {WHOLE}, including ramp and end"

    def as_json(self) -> dict[str, Any]:
        """Return it as run.json has it; `files.parsed(Run, text)` reads it."""
        return asdict(self)
