"""Figures: the numbers of interest, how each is computed from a result, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from loadtests.traffic.results import Connecting, Span


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of interest.

    Attributes:
        name: in targets and JSON.
        title: in tables and charts.
        unit: of its values.
        decimals: how many to show.
        value: computes it from a result; None if there is none.
        main: whether it has a chart, and ours is shown at the top of the page.
        compared: whether ours is divided by the other peers'.
        added: whether it is what the peer has more than `direct` in the same round.
        brief: whether a table shows its median only.
        span: for a rate, the stretch it was measured in: if the load was full, the peer can do more.
    """

    name: str
    title: str
    unit: str
    decimals: int
    value: Callable[[Any], float | None]
    main: bool = False
    compared: bool = False
    added: bool = False
    brief: bool = False
    span: Callable[[Any], Span] | None = None

    @property
    def heading(self) -> str:
        """The title of its column."""
        return self.title if self.unit in {"", "/s"} else f"{self.title}, {self.unit}"


def _window(row: Any) -> Span:
    window: Span = row.window
    return window


def _microseconds(count: int, cpu_seconds: float) -> float | None:
    """Return CPU microseconds for each; None without a gateway."""
    return cpu_seconds / count * 1e6 if cpu_seconds else None


def _busy(*processes: str, of: Callable[[Any], Span] = _window) -> tuple[Figure, ...]:
    """Return which share of a core each of these used: attributes of a Span."""

    def percent(process: str, row: Any) -> float:
        return 100 * float(getattr(of(row), process)) / of(row).seconds

    return tuple(
        Figure(f"{each}-busy", f"{each} busy", "%", 0, partial(percent, each), brief=True)
        for each in processes
    )


def _milliseconds(name: str, title: str, attribute: str, decimals: int = 3, **options: Any) -> Figure:
    """Return a percentile that a result has: `attribute` is such as `latency.p50`."""
    distribution, percentile = attribute.split(".")

    def milliseconds(row: Any) -> float:
        return 1e3 * float(getattr(getattr(row, distribution), percentile))

    return Figure(name, title, "ms", decimals, milliseconds, **options)


def _cpu_per_message(name: str, **options: Any) -> Figure:
    def microseconds(row: Any) -> float | None:
        return _microseconds(row.count, row.window.gateway)

    return Figure(name, "CPU per round trip", "µs", 1, microseconds, **options)


def _connect(kind: str, title: str, *, closing: bool = True, main: bool = False) -> Figure:
    """Return the CPU of a connect of one kind, `new`, `known` or `mixed`, with or without its closing."""
    what = "connect" if closing else "open"

    def microseconds(row: Any) -> float | None:
        found: Connecting = getattr(row, kind)
        return _microseconds(found.count, found.opening.gateway + closing * found.closing.gateway)

    return Figure(
        f"cpu-per-{what}-{kind}", f"CPU per {what}, {title}", "µs", 0, microseconds, main=main, compared=True
    )


def _connects_per_second(kind: str) -> Figure:
    def opening(row: Any) -> Span:
        span: Span = getattr(row, kind).opening
        return span

    def rate(row: Any) -> float:
        return float(getattr(row, kind).count / opening(row).seconds)

    return Figure(f"connects-per-second-{kind}", f"connects/s, {kind} token", "/s", 0, rate, span=opening)


def _memory(name: str, title: str, rss: str, *, main: bool = False) -> Figure:
    """Return the KiB of a connection: what the attribute `rss` has more than with none; None without a gateway."""

    def kib(row: Any) -> float | None:
        more: int = getattr(row, rss) - row.rss_before
        return more / row.connections / 1024 if row.rss_before else None

    return Figure(name, title, "KiB", 1, kib, main=main, compared=True)


ROUND_TRIPS: Final = (
    _cpu_per_message("cpu-per-round-trip", main=True, compared=True),
    Figure("round-trips-per-second", "round trips/s", "/s", 0, lambda row: row.count / row.window.seconds, span=_window),
    *_busy("gateway", "load", "backend"),
)  # fmt: skip

LATENCY: Final = (
    # Not compared: a difference of two percentiles may be zero or less, and a ratio to that means nothing.
    _milliseconds("added-p50", "added p50", "latency.p50", added=True, main=True),
    _milliseconds("added-p99", "added p99", "latency.p99", added=True, main=True),
    _milliseconds("paired-p50", "paired p50", "paired.p50"),
    _milliseconds("paired-p99", "paired p99", "paired.p99"),
    _milliseconds("latency-p50", "p50", "latency.p50"),
    _milliseconds("latency-p99", "p99", "latency.p99"),
    _milliseconds("late-p99", "sent late p99", "lateness.p99", brief=True),
    _cpu_per_message("cpu-per-message"),
    *_busy("gateway", "load", "backend"),
)

CONNECTS: Final = (
    _connect("new", "new token", main=True),
    _connect("known", "known token", main=True),
    _connect("mixed", "1 new : 4 known"),
    _connect("new", "new token", closing=False),
    _connect("known", "known token", closing=False),
    _connects_per_second("new"),
    _connects_per_second("known"),
    *_busy("gateway", "load", "backend", "auth", of=lambda row: row.mixed.opening),
)

MEMORY: Final = (
    _memory("memory-per-idle-connection", "memory per idle connection", "rss_idle", main=True),
    _memory("memory-per-busy-connection", "memory per busy connection", "rss_busy", main=True),
    Figure("memory-at-start", "memory with none", "MiB", 1, lambda row: row.rss_before / 2**20, brief=True),
)

HOLD: Final = (
    Figure("held", "held and served", "", 0, lambda row: row.connections, main=True),
    Figure(
        "hold-connects-per-second", "connects/s", "/s", 0, lambda row: row.connections / row.opening.seconds
    ),
    _milliseconds("hold-p50", "p50", "latency.p50", decimals=2),
    _milliseconds("hold-p99", "p99", "latency.p99", decimals=2),
    Figure("hold-memory", "memory", "MiB", 1, lambda row: row.rss_held / 2**20 or None),
    _memory("hold-memory-per-connection", "memory per connection", "rss_held"),
    *_busy("gateway", "load", "backend"),
)
