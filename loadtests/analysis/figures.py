"""Figures: the numbers of interest, how each is computed from a result, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from loadtests.traffic.results import Connecting, Span


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of interest.

    Attributes:
        name: in targets and JSON.
        title: in a table.
        unit: of its values.
        decimals: how many to show.
        value: computes it from a result; None if there is none.
        chart: the title of its chart; "" for no chart.
        headline: whether ours is shown at the top of the page.
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
    chart: str = ""
    headline: bool = False
    compared: bool = False
    added: bool = False
    brief: bool = False
    span: Callable[[Any], Span] | None = None


def _window(row: Any) -> Span:
    window: Span = row.window
    return window


def _microseconds(count: int, cpu_seconds: float) -> float | None:
    """Return CPU microseconds for each; None without a gateway."""
    return cpu_seconds / count * 1e6 if cpu_seconds else None


def _busy(*processes: str, of: Callable[[Any], Span] = _window) -> tuple[Figure, ...]:
    """Return which share of a core each of these used: attributes of a Span."""

    def share(process: str) -> Callable[[Any], float]:
        return lambda row: 100 * float(getattr(of(row), process)) / of(row).seconds

    titles = {"auth": "Auth"}
    return tuple(
        Figure(f"{each}-busy", f"{titles.get(each, each)} busy %", "%", 0, share(each), brief=True)
        for each in processes
    )


def _milliseconds(name: str, title: str, attribute: str, *, decimals: int = 3, **options: Any) -> Figure:
    """Return a percentile that a result has: `attribute` is such as `latency.p50`."""
    distribution, percentile = attribute.split(".")
    return Figure(
        name,
        title,
        "ms",
        decimals,
        lambda row: 1e3 * float(getattr(getattr(row, distribution), percentile)),
        **options,
    )


def _connect(name: str, title: str, kind: str, *, closing: bool, **options: Any) -> Figure:
    """Return the CPU of a connect of one kind, `new`, `known` or `mixed`, with or without its closing."""

    def microseconds(row: Any) -> float | None:
        found: Connecting = getattr(row, kind)
        return _microseconds(found.count, found.opening.gateway + closing * found.closing.gateway)

    return Figure(name, title, "µs", 0, microseconds, compared=True, **options)


def _connects_per_second(kind: str) -> Figure:
    def opening(row: Any) -> Span:
        span: Span = getattr(row, kind).opening
        return span

    return Figure(
        f"connects-per-second-{kind}",
        f"connects/s, {kind} token",
        "/s",
        0,
        lambda row: getattr(row, kind).count / opening(row).seconds,
        span=opening,
    )


def _memory(name: str, title: str, rss: str, **options: Any) -> Figure:
    """Return the KiB of a connection, of what an attribute has more than with none; None without a gateway."""

    def kib(row: Any) -> float | None:
        more: int = getattr(row, rss) - row.rss_before
        return more / row.connections / 1024 if row.rss_before else None

    return Figure(name, title, "KiB", 1, kib, compared=True, **options)


def _cpu_per_message(name: str, **options: Any) -> Figure:
    return Figure(
        name,
        "CPU µs/round trip",
        "µs",
        1,
        lambda row: _microseconds(row.count, row.window.gateway),
        **options,
    )


ROUND_TRIPS: Final = (
    _cpu_per_message("cpu-per-round-trip", chart="CPU per round trip", headline=True, compared=True),
    Figure(
        "round-trips-per-second",
        "round trips/s",
        "/s",
        0,
        lambda row: row.count / row.window.seconds,
        span=_window,
    ),
    *_busy("gateway", "load", "backend"),
)

LATENCY: Final = (
    # Not compared: a difference of two percentiles may be zero or less, and a ratio to that means nothing.
    _milliseconds("added-p50", "added p50 ms", "latency.p50", added=True, chart="Added, p50", headline=True),
    _milliseconds("added-p99", "added p99 ms", "latency.p99", added=True, chart="Added, p99", headline=True),
    _milliseconds("paired-p50", "paired p50 ms", "paired.p50"),
    _milliseconds("paired-p99", "paired p99 ms", "paired.p99"),
    _milliseconds("latency-p50", "p50 ms", "latency.p50"),
    _milliseconds("latency-p99", "p99 ms", "latency.p99"),
    _milliseconds("late-p99", "sent late p99 ms", "lateness.p99", brief=True),
    _cpu_per_message("cpu-per-message"),
    *_busy("gateway", "load", "backend"),
)

CONNECTS: Final = (
    _connect(
        "cpu-per-connect-new",
        "CPU µs/connect, new token",
        "new",
        closing=True,
        chart="CPU per connect, new token",
        headline=True,
    ),
    _connect(
        "cpu-per-connect-known",
        "CPU µs/connect, known token",
        "known",
        closing=True,
        chart="CPU per connect, known token",
    ),
    _connect("cpu-per-connect-mixed", "CPU µs/connect, 1 new : 4 known", "mixed", closing=True),
    _connect("cpu-per-open-new", "CPU µs/open, new token", "new", closing=False),
    _connect("cpu-per-open-known", "CPU µs/open, known token", "known", closing=False),
    _connects_per_second("new"),
    _connects_per_second("known"),
    *_busy("gateway", "load", "backend", "auth", of=lambda row: row.mixed.opening),
)

MEMORY: Final = (
    _memory(
        "memory-per-idle-connection",
        "KiB/idle connection",
        "rss_idle",
        chart="Per idle connection",
        headline=True,
    ),
    _memory("memory-per-busy-connection", "KiB/busy connection", "rss_busy", chart="Per busy connection"),
    Figure("memory-at-start", "MiB with none", "MiB", 1, lambda row: row.rss_before / 2**20, brief=True),
)

HOLD: Final = (
    Figure(
        "held", "held and served", "", 0, lambda row: row.connections, chart="Held and served", headline=True
    ),
    Figure(
        "hold-connects-per-second", "connects/s", "/s", 0, lambda row: row.connections / row.opening.seconds
    ),
    _milliseconds("hold-p50", "p50 ms", "latency.p50", decimals=2),
    _milliseconds("hold-p99", "p99 ms", "latency.p99", decimals=2),
    Figure("hold-memory", "MiB", "MiB", 1, lambda row: row.rss_held / 2**20 or None),
    _memory("hold-memory-per-connection", "KiB/connection", "rss_held"),
    *_busy("gateway", "load", "backend"),
)
