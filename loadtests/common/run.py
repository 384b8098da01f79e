"""The record of a scenario's run: what run.json holds, and all that a report is made from.

Times are seconds, sizes bytes. No token is in here: addresses stand without their query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

Setting = str | int | float | bool | None

WHOLE: Final = "the whole run"
"""What the latencies are of if nothing is left out."""

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
    """One second of the run.

    Attributes:
        at: its end, seconds since the start.
        connections: open at that moment, through the gateway.
        messages: completed in it.
        failures: operations that failed in it.
        p50: median latency of the messages through the gateway; None if there were none.
        p99: their 99th percentile; None if there were none.
        gateway_cpu: share of a core that the gateway used; None if it cannot be seen.
        gateway_rss: the gateway's resident memory; None if it cannot be seen.
    """

    at: float
    connections: int
    messages: int
    failures: int
    p50: float | None
    p99: float | None
    gateway_cpu: float | None
    gateway_rss: int | None


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
    """The verdict on one threshold.

    Attributes:
        name: such as `overhead p99`.
        rule: such as `< 10 ms`.
        value: what was measured; None if it was not.
        shown: the value for people, such as `4.2 ms`.
        passed: whether the rule holds; None if it was not judged.
        words: what a broken rule means.
    """

    name: str
    rule: str
    value: float | None
    shown: str
    passed: bool | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario.

    Attributes:
        scenario: its name.
        about: what it shows, in one sentence.
        started: when, ISO 8601 with its time zone.
        seconds: how long it took, ramp included.
        gateway_url: the WebSocket address that was loaded.
        direct_url: the Studio's own, to which some messages went for comparison.
        settings: the options it ran with.
        machine: what it ran on.
        versions: of what took part.
        latencies: by `gateway`, `direct` and `overhead` (the paired difference); a scenario may have only some.
        requests: by kind.
        failures: by kind and reason.
        closes: how many connections ended with which close code, or with `no close frame`.
        studios: connections on each Studio at the height of the run, if the gateway reports them.
        timeline: second by second.
        events: what was done to the system.
        figures: the scenario's own results.
        thresholds: the verdict on each.
        measured: what the latencies are of, in words.
        most_connections: open through the gateway at once; None if that was only sampled.
        stopped: why the scenario could not go on; "" if it came to its end.
        passed: whether it came to its end and every threshold holds; None if the run was not judged.
        not_judged: why it was not judged, such as `this machine was too busy: …`; "" if it was.
    """

    scenario: str
    about: str
    started: str
    seconds: float
    gateway_url: str
    direct_url: str | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    machine: Mapping[str, str | int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    requests: tuple[Request, ...] = ()
    failures: tuple[Failure, ...] = ()
    closes: Mapping[str, int] = field(default_factory=dict)
    studios: Mapping[str, int] = field(default_factory=dict)
    timeline: tuple[Second, ...] = ()
    events: tuple[Event, ...] = ()
    figures: tuple[Figure, ...] = ()
    thresholds: tuple[Verdict, ...] = ()
    measured: str = "the measured time"
    most_connections: int | None = None
    stopped: str = ""
    passed: bool | None = True
    not_judged: str = ""

    @property
    def scope(self) -> str:
        """What the latencies and everything else are of, in words."""
        if self.measured == WHOLE:
            return f"of {WHOLE}"
        return f"of {self.measured} only; all else counts {WHOLE}, ramp and end included"

    def as_json(self) -> dict[str, Any]:
        """Return it as run.json has it; `files.parsed(Run, text)` reads it."""
        return asdict(self)
