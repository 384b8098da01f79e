"""Distributions of latency: how long messages took, and what the gateway added to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadtests.common.run import Latency
from loadtests.report.charts.chart import (
    DIRECT,
    GATEWAY,
    JSON,
    OVERHEAD,
    Chart,
    Look,
    axis,
    log_seconds_axis,
    rounded,
    seconds_axis,
)

PATHS: Final[Mapping[str, tuple[str, Look]]] = {
    "gateway": ("gateway", GATEWAY),
    "direct": ("direct", DIRECT),
}
"""What can be compared on a logarithmic scale: seconds that are never negative."""

ONE_IN: Final = {2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}  # fmt: skip
"""Ticks of an axis of percentiles that shows the tail: one message in so many took longer."""


def distribution(latencies: Mapping[str, Latency]) -> Chart | None:
    """Return which share of the messages took how long at most; None without any."""
    traces = [_cumulative(latencies[path], *look) for path, look in PATHS.items() if path in latencies]
    if not traces:
        return None
    return Chart(
        title="How long a message took",
        about="Share of messages that were answered within a time; logarithmic. Farther left is faster.",
        traces=traces,
        layout={
            "xaxis": log_seconds_axis(
                [value for trace in traces for value in trace["x"]], "time to the answer"
            ),
            "yaxis": axis("share of messages", tickformat=".0%", range=[0, 1.02]),
            "hovermode": "closest",
            "showlegend": True,
        },
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


def percentiles(latencies: Mapping[str, Latency]) -> Chart | None:
    """Return what the gateway adds at each percentile, the tail drawn out; None where it was not measured."""
    overhead = latencies.get("overhead")
    if overhead is None:
        return None
    points = [
        (1 / (1 - share), seconds) for share, seconds in overhead.quantiles if share < 1 - 1 / overhead.count
    ]
    points.append((max(overhead.count, 1), overhead.max))
    return Chart(
        title="What the gateway added",
        about="Difference of the same message on both ways, by percentile: each tick is a tenth of the messages before it. "
        "Below zero the direct way happened to be slower.",
        traces=[
            {
                "type": "scatter",
                "mode": "lines" if len(points) > 2 else "lines+markers",
                "name": "added",
                "x": [rounded(one_in) for one_in, _ in points],
                "y": [rounded(seconds) for _, seconds in points],
                "line": OVERHEAD.line(),
                "marker": OVERHEAD.points(),
                "hovertemplate": "one in %{x:.3~s} had more than %{y}<extra></extra>",
            }
        ],
        layout={
            "xaxis": axis("percentile", type="log", tickvals=list(ONE_IN), ticktext=list(ONE_IN.values()), tickangle=0),
            "yaxis": seconds_axis("added", zeroline=True, zerolinecolor="var(--quiet)"),
        },
        height=340,
    )  # fmt: skip
