"""The page of a scenario's run: the verdict first, then why, then what it was measured with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.common.files import write_whole
from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Latency, Run, Second
from loadtests.report.page import JSON, QUIET, SPECS, Chart, render, scatter, vertical

NEAR: Final = 0.06
"""Events that are closer than this share of the run have their numbers in one place."""

PACKAGE: Final = "memmie-gateway"
WORDS: Final = {True: "passed", False: "failed", None: "not judged"}


def write(run: Run, path: Path) -> None:
    """Write the page of a run."""
    write_whole(path, page(run))


def page(run: Run) -> str:
    """Return the page of a run."""
    version = run.versions.get(PACKAGE)
    name = f"{PACKAGE} {version}: {run.scenario}" if version else run.scenario
    most = run.most_connections
    if most is None and run.timeline:
        most = max(second.connections for second in run.timeline)
    return render(
        f"{name}, {WORDS[run.passed]}",
        "run.html",
        "run.json",
        run=run,
        name=name,
        words=WORDS,
        most_connections=most,
        # A figure and its threshold have the same name.
        broken={each.name: f"must be {each.rule}" for each in run.thresholds if each.passed is False},
        distributions=_distributions(run.latencies),
        over_time=_over_time(run),
    )


def _distributions(latencies: Mapping[str, Latency]) -> list[Chart]:
    """Return the charts of the latencies that were measured: how long messages took, and what the gateway added."""
    charts = []
    traces = []
    for path in (GATEWAY, DIRECT):  # on a logarithmic scale, so without the overhead, which may be negative
        if path in latencies:
            points = [(seconds, share) for share, seconds in latencies[path].quantiles if seconds > 0]
            x, y = [seconds for seconds, _ in points], [share for _, share in points]
            trace = scatter(path, path, x, y, mode="lines", hovertemplate="%{y:.2%} within %{x}")
            traces.append({**trace, "y": [round(share, 5) for share in y]})
    if traces:
        charts.append(_chart(SPECS["distribution"], traces, {}))
    if overhead := latencies.get(OVERHEAD):
        most = 1 - 1 / overhead.count
        points = [(1 / (1 - share), seconds) for share, seconds in overhead.quantiles if share < most]
        one_in, seconds = zip(*points, (overhead.count, overhead.max), strict=True)
        words = "one in %{x:.3~s} had more than %{y}<extra></extra>"
        trace = scatter("added", OVERHEAD, one_in, seconds, hovertemplate=words)
        charts.append(_chart(SPECS["overhead"], [trace], {}))
    return charts


def _over_time(run: Run) -> list[Chart]:
    """Return a chart of everything that was sampled, one under another with the same axis of time."""
    if not run.timeline:
        return []
    length = max(run.seconds, run.timeline[-1].at)
    layout = {
        "xaxis": {"title": {"text": "seconds"}, "range": [0, length], "hoverformat": ".0f"},
        "hovermode": "x unified",
        "shapes": [vertical(event.at, QUIET) for event in run.events],
        "annotations": _numbers(run, NEAR * length),
    }
    if run.events:
        layout |= {"legend": {"y": 1.12}, "margin": {"t": 26}}
    charts = []
    for spec in SPECS["over_time"]:
        traces = [_line(run.timeline, **line) for line in spec["lines"]]
        traces = [trace for trace in traces if any(value is not None for value in trace["y"])]
        charts += [_chart(spec, traces, layout)] if traces else []
    return charts


def _line(
    timeline: Sequence[Second], name: str, of: str, look: str, divisor: float = 1, *, points: bool = False
) -> JSON:
    """Return one line of a chart, as `charts.toml` describes it."""
    values = [getattr(second, of) for second in timeline]
    y = [None if value is None or (points and not value) else value / divisor for value in values]
    more = {"mode": "markers", "connectgaps": False} if points else {}
    return scatter(name, look, [second.at for second in timeline], y, cliponaxis=False, **more)


def _chart(spec: Mapping[str, Any], traces: Sequence[JSON], layout: Mapping[str, Any]) -> Chart:
    """Return a chart with the words of `charts.toml`."""
    layout = spec.get("layout", {}) | layout
    return Chart(spec["title"], spec["about"], spec.get("height", 240), traces, layout)


def _numbers(run: Run, near: float) -> list[JSON]:
    """Return the numbers of the events, in one place for those that are near each other."""
    groups: list[tuple[float, list[int]]] = []
    for number, event in enumerate(run.events, start=1):
        if groups and event.at - groups[-1][0] < near:
            groups[-1][1].append(number)
        else:
            groups.append((event.at, [number]))
    return [
        {**SPECS["number"], "x": at, "text": "…".join(dict.fromkeys([str(numbers[0]), str(numbers[-1])]))}
        for at, numbers in groups
    ]
