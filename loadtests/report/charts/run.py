"""The charts of a scenario's run: its latencies as distributions, and everything that was sampled, second by second."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Latency, Run, Second
from loadtests.report.charts.chart import (
    JSON,
    LOOKS,
    QUIET,
    Chart,
    axis,
    log_seconds_axis,
    rounded,
    seconds_axis,
    vertical,
)

ONE_IN: Final = {2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}
"""Ticks of an axis of percentiles that shows the tail: one message in so many took longer."""

NEAR: Final = 0.06
"""Events that are closer than this share of the run have their numbers in one place."""

_OVER_TIME: Final[list[dict[str, Any]]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())[
    "chart"
]


def distributions(latencies: Mapping[str, Latency]) -> list[Chart]:
    """Return the charts of the latencies that were measured."""
    # What can be compared on a logarithmic scale: seconds that are never negative.
    paths = [path for path in (GATEWAY, DIRECT) if path in latencies]
    charts = [_cumulative({path: latencies[path] for path in paths})] if paths else []
    return charts + ([_percentiles(latencies[OVERHEAD])] if OVERHEAD in latencies else [])


def _cumulative(latencies: Mapping[str, Latency]) -> Chart:
    """Return the share of the messages by how long they took at most."""
    traces: list[JSON] = []
    for path, latency in latencies.items():
        points = [(rounded(seconds), share) for share, seconds in latency.quantiles if seconds > 0]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": path,
                "x": [seconds for seconds, _ in points],
                "y": [rounded(share) if share < 0.999 else share for _, share in points],
                "line": LOOKS[path].line(),
                "hovertemplate": "%{y:.2%} within %{x}",
            }
        )
    xaxis = log_seconds_axis([value for trace in traces for value in trace["x"]], "time to the answer")
    yaxis = axis("share of messages", tickformat=".0%", range=[0, 1.02])
    return Chart(
        "How long a message took",
        "Share of messages that were answered within a time; logarithmic. Farther left is faster.",
        traces,
        {"xaxis": xaxis, "yaxis": yaxis, "hovermode": "closest", "showlegend": True},
        height=340,
    )


def _percentiles(overhead: Latency) -> Chart:
    """Return what the gateway adds at each percentile, with a long tail."""
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
        "line": LOOKS[OVERHEAD].line(),
        "marker": LOOKS[OVERHEAD].points(),
        "hovertemplate": "one in %{x:.3~s} had more than %{y}<extra></extra>",
    }
    ticks = {"tickvals": list(ONE_IN), "ticktext": list(ONE_IN.values()), "tickangle": 0}
    yaxis = seconds_axis("added", zeroline=True, zerolinecolor=QUIET)
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
    if not run.timeline:
        return []
    length = max(run.seconds, run.timeline[-1].at)
    layout = {
        "xaxis": axis("seconds", range=[0, length], hoverformat=".0f"),
        "hovermode": "x unified",
        "shapes": [vertical(event.at, QUIET) for event in run.events],
        "annotations": _numbers(run, NEAR * length),
    }
    if run.events:
        layout |= {"legend": {"y": 1.12}, "margin": {"t": 26}}
    charts = []
    for each in _OVER_TIME:
        traces = [_line(run.timeline, **line) for line in each["lines"]]
        traces = [trace for trace in traces if any(value is not None for value in trace["y"])]
        if traces:
            values = [y for trace in traces for y in trace["y"] if y is not None]
            yaxis = axis(**each["yaxis"]) if "yaxis" in each else log_seconds_axis(values)
            charts.append(Chart(each["title"], each["about"], traces, {**layout, "yaxis": yaxis}, height=240))
    return charts


def _line(
    timeline: Sequence[Second], name: str, of: str, look: str, divisor: float = 1, *, points: bool = False
) -> JSON:
    """Return one line of a chart, as `run.toml` describes it."""
    values = [getattr(second, of) for second in timeline]
    return {
        "type": "scatter",
        "mode": "markers" if points else "lines" if len(timeline) > 2 else "lines+markers",
        "name": name,
        "x": [rounded(second.at) for second in timeline],
        "y": [
            None if value is None or (points and not value) else rounded(value / divisor) for value in values
        ],
        "line": LOOKS[look].line(),
        "marker": LOOKS[look].points(),
        "cliponaxis": False,
    }


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
