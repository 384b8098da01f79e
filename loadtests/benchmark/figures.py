"""All numbers of interest: how each is computed from a result, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtests.benchmark.figure import Figure
from loadtests.traffic.results import Connecting, Span


def _per(count: int, cpu_seconds: float) -> float | None:
    """Return CPU microseconds for each; None where there is no gateway."""
    return cpu_seconds / count * 1e6 if cpu_seconds else None


def _busy(of: Callable[[Any], Span]) -> tuple[Figure, ...]:
    def share(who: str, cpu: Callable[[Span], float]) -> Figure:
        return Figure(
            f"{who.lower()}-busy",
            f"{who} busy %",
            "%",
            0,
            lambda row: 100 * cpu(of(row)) / of(row).seconds,
            brief=True,
        )

    return (
        share("gateway", lambda span: span.gateway),
        share("load", lambda span: span.load),
        share("backend", lambda span: span.backend),
        share("Auth", lambda span: span.auth),
    )


def _window(row: Any) -> Span:
    window: Span = row.window
    return window


def _cpu_per_connect(name: str, title: str, of: Callable[[Any], Connecting], *, with_closing: bool) -> Figure:
    def microseconds(row: Any) -> float | None:
        found = of(row)
        closing = found.closing.gateway if with_closing else 0.0
        return _per(found.count, found.opening.gateway + closing)

    return Figure(name, title, "µs", 0, microseconds, compared=True)


def _connects_per_second(kind: str, title: str, of: Callable[[Any], Connecting]) -> Figure:
    return Figure(
        f"connects-per-second-{kind}",
        f"connects/s, {title}",
        "/s",
        0,
        lambda row: of(row).count / of(row).opening.seconds,
        span=lambda row: of(row).opening,
    )


def _memory(name: str, title: str, rss: Callable[[Any], int]) -> Figure:
    def per_connection(row: Any) -> float | None:
        kib: float = (rss(row) - row.rss_before) / row.connections / 1024
        return kib if row.rss_before else None  # without a gateway there is nothing to measure

    return Figure(name, title, "KiB", 1, per_connection, compared=True)


FIGURES: Final[Mapping[str, tuple[Figure, ...]]] = {
    "round-trips": (
        Figure(
            "cpu-per-round-trip",
            "CPU µs/round trip",
            "µs",
            1,
            lambda row: _per(row.count, row.window.gateway),
            compared=True,
        ),
        Figure(
            "round-trips-per-second",
            "round trips/s",
            "/s",
            0,
            lambda row: row.count / row.window.seconds,
            span=_window,
        ),
        *_busy(_window)[:3],
    ),
    "latency": (
        # Not compared: a difference of two percentiles may be about nothing or less, and a ratio to that says nothing.
        Figure("added-p50", "added p50 ms", "ms", 3, lambda row: 1e3 * row.latency.p50, added=True),
        Figure("added-p99", "added p99 ms", "ms", 3, lambda row: 1e3 * row.latency.p99, added=True),
        Figure("paired-p50", "paired p50 ms", "ms", 3, lambda row: 1e3 * row.paired.p50),
        Figure("paired-p99", "paired p99 ms", "ms", 3, lambda row: 1e3 * row.paired.p99),
        Figure("latency-p50", "p50 ms", "ms", 3, lambda row: 1e3 * row.latency.p50),
        Figure("latency-p99", "p99 ms", "ms", 3, lambda row: 1e3 * row.latency.p99),
        Figure("late-p99", "sent late p99 ms", "ms", 3, lambda row: 1e3 * row.lateness.p99, brief=True),
        Figure(
            "cpu-per-message", "CPU µs/round trip", "µs", 1, lambda row: _per(row.count, row.window.gateway)
        ),
        *_busy(_window)[:3],
    ),
    "connects": (
        _cpu_per_connect(
            "cpu-per-connect-new", "CPU µs/connect, new token", lambda row: row.new, with_closing=True
        ),
        _cpu_per_connect(
            "cpu-per-connect-known", "CPU µs/connect, known token", lambda row: row.known, with_closing=True
        ),
        _cpu_per_connect(
            "cpu-per-connect-mixed",
            "CPU µs/connect, 1 new : 4 known",
            lambda row: row.mixed,
            with_closing=True,
        ),
        _cpu_per_connect(
            "cpu-per-open-new", "CPU µs/open, new token", lambda row: row.new, with_closing=False
        ),
        _cpu_per_connect(
            "cpu-per-open-known", "CPU µs/open, known token", lambda row: row.known, with_closing=False
        ),
        _connects_per_second("new", "new token", lambda row: row.new),
        _connects_per_second("known", "known token", lambda row: row.known),
        *_busy(lambda row: row.mixed.opening),
    ),
    "memory": (
        _memory("memory-per-idle-connection", "KiB/idle connection", lambda row: row.rss_idle),
        _memory("memory-per-busy-connection", "KiB/busy connection", lambda row: row.rss_busy),
        Figure("memory-at-start", "MiB with none", "MiB", 1, lambda row: row.rss_before / 2**20, brief=True),
    ),
    "hold": (
        Figure("held", "held and served", "", 0, lambda row: row.connections),
        Figure(
            "hold-connects-per-second",
            "connects/s",
            "/s",
            0,
            lambda row: row.connections / row.opening.seconds,
        ),
        Figure("hold-p50", "p50 ms", "ms", 2, lambda row: 1e3 * row.latency.p50),
        Figure("hold-p99", "p99 ms", "ms", 2, lambda row: 1e3 * row.latency.p99),
        Figure("hold-memory", "MiB", "MiB", 1, lambda row: row.rss_held / 2**20 or None),
        _memory("hold-memory-per-connection", "KiB/connection", lambda row: row.rss_held),
        *_busy(_window)[:3],
    ),
}
"""By measurement, in the order of the columns."""
