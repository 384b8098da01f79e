"""The page of a scenario's run: the verdict first, then why, then what it was measured with."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.common.files import write_whole
from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Latency, Run, Second
from loadtests.report.page import JSON, QUIET, Chart, log_seconds_axis, render, scatter, vertical

NEAR: Final = 0.06
"""Events that are closer than this share of the run have their numbers in one place."""

_SPECS: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("charts.toml").read_text())

PACKAGE: Final = "memmie-gateway"

WORDS: Final = {True: "passed", False: "failed", None: "not judged"}


def write(run: Run, path: Path) -> None:
    """Write the page of a run.

    Raises:
        OSError: it cannot be written.
    """
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
    """Return the charts of the latencies that were measured."""
    # What can be compared on a logarithmic scale: seconds that are never negative.
    never_negative = {path: latencies[path] for path in (GATEWAY, DIRECT) if path in latencies}
    charts = [_cumulative(never_negative)] if never_negative else []
    return charts + ([_percentiles(latencies[OVERHEAD])] if OVERHEAD in latencies else [])


def _cumulative(latencies: Mapping[str, Latency]) -> Chart:
    """Return the share of the messages by how long they took at most."""
    traces = []
    for path, latency in latencies.items():
        points = [(seconds, share) for share, seconds in latency.quantiles if seconds > 0]
        x, y = [seconds for seconds, _ in points], [share for _, share in points]
        trace = scatter(path, path, x, y, mode="lines", hovertemplate="%{y:.2%} within %{x}")
        traces.append({**trace, "y": [round(share, 5) for share in y]})
    xaxis = log_seconds_axis([value for trace in traces for value in trace["x"]], "time to the answer")
    return _chart(_SPECS["distribution"], traces, {"xaxis": xaxis})


def _percentiles(overhead: Latency) -> Chart:
    """Return what the gateway adds at each percentile, with a long tail."""
    points = [
        (1 / (1 - share), seconds) for share, seconds in overhead.quantiles if share < 1 - 1 / overhead.count
    ]
    points.append((max(overhead.count, 1), overhead.max))
    one_in, seconds = zip(*points, strict=True)
    words = "one in %{x:.3~s} had more than %{y}<extra></extra>"
    return _chart(_SPECS["overhead"], [scatter("added", OVERHEAD, one_in, seconds, hovertemplate=words)], {})


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
    for spec in _SPECS["over_time"]:
        traces = [_line(run.timeline, **line) for line in spec["lines"]]
        traces = [trace for trace in traces if any(value is not None for value in trace["y"])]
        if traces:
            values = [y for trace in traces for y in trace["y"] if y is not None]
            yaxis = spec["yaxis"] if "yaxis" in spec else log_seconds_axis(values)
            charts.append(_chart(spec, traces, {**layout, "yaxis": yaxis}))
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
    return Chart(
        spec["title"], spec["about"], spec.get("height", 240), traces, spec.get("layout", {}) | layout
    )


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
