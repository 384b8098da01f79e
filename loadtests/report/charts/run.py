"""The charts of a scenario's run: its latencies as distributions, and everything that was sampled, second by second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Latency, Run, Second
from loadtests.report.charts import chart
from loadtests.report.charts.chart import JSON, Chart, Look, axis, log_seconds_axis, rounded, seconds_axis

LOOKS: Final = {GATEWAY: chart.GATEWAY, DIRECT: chart.DIRECT}
"""What can be compared on a logarithmic scale: seconds that are never negative."""

ONE_IN: Final = {2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}
"""Ticks of an axis of percentiles that shows the tail: one message in so many took longer."""

MIB: Final = 1 << 20

NEAR: Final = 0.06
"""Events that are closer than this share of the run have their numbers in one place."""

Value = Callable[[Second], float | None]


def distributions(latencies: Mapping[str, Latency]) -> list[Chart]:
    """Return the charts of the latencies that were measured."""
    return [chart for chart in (_distribution(latencies), _percentiles(latencies)) if chart]


def _distribution(latencies: Mapping[str, Latency]) -> Chart | None:
    """Return the share of the messages by how long they took at most; None without any."""
    traces = [_cumulative(latencies[path], path, look) for path, look in LOOKS.items() if path in latencies]
    if not traces:
        return None
    xaxis = log_seconds_axis([value for trace in traces for value in trace["x"]], "time to the answer")
    yaxis = axis("share of messages", tickformat=".0%", range=[0, 1.02])
    return Chart(
        "How long a message took",
        "Share of messages that were answered within a time; logarithmic. Farther left is faster.",
        traces,
        {"xaxis": xaxis, "yaxis": yaxis, "hovermode": "closest", "showlegend": True},
        height=340,
    )


def _cumulative(latency: Latency, name: str, look: Look) -> JSON:
    points = [(rounded(seconds), share) for share, seconds in latency.quantiles if seconds > 0]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [seconds for seconds, _ in points],
        "y": [rounded(share) if share < 0.999 else share for _, share in points],
        "line": look.line(),
        "hovertemplate": "%{y:.2%} within %{x}",
    }


def _percentiles(latencies: Mapping[str, Latency]) -> Chart | None:
    """Return what the gateway adds at each percentile, with a long tail; None if it was not measured."""
    overhead = latencies.get(OVERHEAD)
    if overhead is None:
        return None
    points = [
        (1 / (1 - share), seconds) for share, seconds in overhead.quantiles if share < 1 - 1 / overhead.count
    ]
    points.append((max(overhead.count, 1), overhead.max))
    trace = {
        "type": "scatter",
        "mode": "lines" if len(points) > 2 else "lines+markers",
        "name": "added",
        "x": [rounded(one_in) for one_in, _ in points],
        "y": [rounded(seconds) for _, seconds in points],
        "line": chart.OVERHEAD.line(),
        "marker": chart.OVERHEAD.points(),
        "hovertemplate": "one in %{x:.3~s} had more than %{y}<extra></extra>",
    }
    ticks = {"tickvals": list(ONE_IN), "ticktext": list(ONE_IN.values()), "tickangle": 0}
    yaxis = seconds_axis("added", zeroline=True, zerolinecolor=chart.QUIET)
    return Chart(
        "What the gateway added",
        "Difference of the same message on both ways, by percentile: each tick is a tenth of the messages before it. "
        "Below zero the direct way happened to be slower.",
        [trace],
        {"xaxis": axis("percentile", type="log", **ticks), "yaxis": yaxis},
        height=340,
    )


def over_time(run: Run) -> list[Chart]:
    """Return a chart of everything that was sampled, one under another with the same axis of time."""
    seconds = run.timeline
    failed = _line(seconds, "failed", chart.BAD, lambda second: second.failures or None)
    messages = [_line(seconds, "answered", chart.GATEWAY, lambda second: second.messages)]
    messages += [{**failed, "mode": "markers", "connectgaps": False}] if _has_data([failed]) else []
    latencies = [
        _line(seconds, "p50", chart.GATEWAY, lambda second: second.p50),
        _line(seconds, "p99", chart.DIRECT, lambda second: second.p99),
    ]
    from_zero = axis(rangemode="tozero")
    found = (
        (
            "Connections",
            "Open through the gateway at the end of each second.",
            [_line(seconds, "connections", chart.GATEWAY, lambda second: second.connections)],
            from_zero,
        ),
        ("Messages", "Answered in each second, and operations that failed.", messages, from_zero),
        (
            "CPU of the gateway",
            "Share of one core.",
            [_line(seconds, "CPU", chart.OVERHEAD, lambda second: second.gateway_cpu)],
            {**from_zero, "tickformat": ".0%"},
        ),
        (
            "Memory of the gateway",
            "Resident, in MiB.",
            [_line(seconds, "memory", chart.OVERHEAD, _mebibytes)],
            {**from_zero, "hoverformat": ",.1f"},
        ),
        (
            "Latency",
            "Of the messages through the gateway in each second; logarithmic.",
            latencies,
            log_seconds_axis([y for trace in latencies for y in trace["y"] if y is not None]),
        ),
    )
    return [_over_time(run, *each) for each in found if _has_data(each[2])]


def _has_data(traces: Sequence[JSON]) -> bool:
    return any(value is not None for trace in traces for value in trace["y"])


def _mebibytes(second: Second) -> float | None:
    return None if second.gateway_rss is None else second.gateway_rss / MIB


def _line(timeline: Sequence[Second], name: str, look: Look, value: Value) -> JSON:
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
    layout = {
        "xaxis": axis("seconds", range=[0, length], hoverformat=".0f"),
        "yaxis": yaxis,
        "hovermode": "x unified",
        "shapes": [chart.vertical(event.at, chart.QUIET) for event in run.events],
        "annotations": _numbers(run, NEAR * length),
    }
    room = {"legend": {"y": 1.12}, "margin": {"t": 26}} if run.events else {}
    return Chart(title, about, traces, {**layout, **room}, height=240)


def _numbers(run: Run, near: float) -> list[JSON]:
    """Return the numbers of the events, in one place for those that are near each other."""
    groups: list[tuple[float, list[int]]] = []
    for number, event in enumerate(run.events, start=1):
        if groups and event.at - groups[-1][0] < near:
            groups[-1][1].append(number)
        else:
            groups.append((event.at, [number]))
    look = {"xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
    return [
        {**look, "x": at, "text": "…".join(dict.fromkeys([str(numbers[0]), str(numbers[-1])]))}
        for at, numbers in groups
    ]
