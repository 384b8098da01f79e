"""The run second by second, with what was done to the system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from loadtests.common.run import Event, Run, Second
from loadtests.report.charts.chart import (
    BAD,
    DIRECT,
    GATEWAY,
    INK,
    JSON,
    LEGEND,
    MARGIN,
    OVERHEAD,
    QUIET,
    Chart,
    Look,
    axis,
    log_seconds_axis,
    rounded,
    vertical,
)

MIB: Final = 1 << 20

NEAR: Final = 0.06
"""Events that are closer than this share of the run have their numbers in one place."""

Value = Callable[[Second], float | None]


def charts(run: Run) -> list[Chart]:
    """Return a chart of everything that was sampled, one under another with the same axis of time."""
    if not run.timeline:
        return []
    seconds = run.timeline
    failed = _line(seconds, "failed", lambda second: second.failures or None, BAD)
    messages = [_line(seconds, "answered", lambda second: second.messages, GATEWAY)]
    messages += [{**failed, "mode": "markers", "connectgaps": False}] if _has_data([failed]) else []
    latencies = [
        _line(seconds, "p50", lambda second: second.p50, GATEWAY),
        _line(seconds, "p99", lambda second: second.p99, DIRECT),
    ]
    found = (
        (
            "Connections",
            "Open through the gateway at the end of each second.",
            [_line(seconds, "connections", lambda second: second.connections, GATEWAY)],
            axis(rangemode="tozero"),
        ),
        (
            "Messages",
            "Answered in each second, and operations that failed.",
            messages,
            axis(rangemode="tozero"),
        ),
        (
            "CPU of the gateway",
            "Share of one core.",
            [_line(seconds, "CPU", lambda second: second.gateway_cpu, OVERHEAD)],
            axis(tickformat=".0%", rangemode="tozero"),
        ),
        (
            "Memory of the gateway",
            "Resident, in MiB.",
            [_line(seconds, "memory", _mebibytes, OVERHEAD)],
            axis(rangemode="tozero", hoverformat=",.1f"),
        ),
        (
            "Latency",
            "Of the messages through the gateway in each second; logarithmic.",
            latencies,
            log_seconds_axis([y for trace in latencies for y in trace["y"] if y is not None]),
        ),
    )
    return [
        _over_time(run, title, about, traces, yaxis)
        for title, about, traces, yaxis in found
        if _has_data(traces)
    ]


def _has_data(traces: Sequence[JSON]) -> bool:
    return any(value is not None for trace in traces for value in trace["y"])


def _mebibytes(second: Second) -> float | None:
    return None if second.gateway_rss is None else second.gateway_rss / MIB


def _line(timeline: Sequence[Second], name: str, value: Value, look: Look) -> JSON:
    return {
        "type": "scatter",
        "mode": "lines" if len(timeline) > 2 else "lines+markers",
        "name": name,
        "x": [rounded(second.at) for second in timeline],
        "y": [rounded(value(second)) for second in timeline],
        "line": look.line(),
        "marker": look.points(),
        "cliponaxis": False,
    }


def _over_time(run: Run, title: str, about: str, traces: list[JSON], yaxis: JSON) -> Chart:
    length = max(run.seconds, run.timeline[-1].at)
    return Chart(
        title=title,
        about=about,
        traces=traces,
        layout={
            "xaxis": axis("seconds", range=[0, length], hoverformat=".0f"),
            "yaxis": yaxis,
            "hovermode": "x unified",
            "legend": {**LEGEND, "y": 1.12 if run.events else 1.02},
            "margin": {**MARGIN, "t": 26 if run.events else MARGIN["t"]},
            "shapes": [vertical(event.at, QUIET) for event in run.events],
            "annotations": [_numbers(*group) for group in _groups(run.events, NEAR * length)],
        },
        height=240,
    )


def _groups(events: Sequence[Event], near: float) -> list[tuple[float, list[int]]]:
    """Return the numbers of the events with the time of the first, those that are near each other together."""
    groups: list[tuple[float, list[int]]] = []
    for number, event in enumerate(events, start=1):
        if groups and event.at - groups[-1][0] < near:
            groups[-1][1].append(number)
        else:
            groups.append((event.at, [number]))
    return groups


def _numbers(at: float, numbers: list[int]) -> JSON:
    first, last = numbers[0], numbers[-1]
    return {
        "text": str(first) if first == last else f"{first}…{last}",
        "x": at,
        "xref": "x",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": INK},
    }
