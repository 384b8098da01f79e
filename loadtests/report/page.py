"""The page of one scenario's run: the verdict first, then why, then what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtests.common.run import Run, Verdict
from loadtests.common.units import shown
from loadtests.report.charts import latency, timeline
from loadtests.report.layout import (
    beside,
    document,
    figures,
    moment,
    named,
    part,
    save,
    section,
    side_by_side,
    title,
    verdict,
)
from loadtests.report.markup import Html, element, join
from loadtests.report.tables import shares, table
from loadtests.runs.recorder import DIRECT, OVERHEAD

CLOSES: Final[Mapping[str, str]] = {
    "1000": "normal",
    "1001": "going away: a shutdown or a drain",
    "1006": "no close frame",
    "1008": "a policy was broken",
    "1009": "message too big",
    "1011": "internal error",
    "1012": "Studio is gone: reconnect",
    "1013": "overloaded: try again later",
    "4401": "the token expired or was revoked",
}
"""What the more usual close codes mean."""


def write(run: Run, path: Path) -> None:
    """Write the page of a run.

    Raises:
        OSError: it cannot be written.
    """
    save(page(run), path)


def page(run: Run) -> str:
    """Return the page of a run."""
    parts = [
        _thresholds(run),
        _latency(run),
        _timeline(run),
        _connections(run),
        _operations(run),
        _circumstances(run),
    ]
    return document(
        f"{run.scenario}: {'passed' if run.passed else 'failed'}",
        _head(run),
        [part for part in parts if part is not None],
        "run.json",
    )


def _head(run: Run) -> list[Html]:
    broken = [each for each in run.thresholds if not each.passed]
    return [
        title(run.scenario, verdict(run.passed)),
        element("p", run.about),
        element("p", f"{moment(run.started)}, took {shown(run.seconds, 's')}, ", element("code", run.gateway_url), class_="quiet"),
        *([element("p", element("strong", "Could not go on"), f": {run.stopped}", class_="broken")] if run.stopped else []),
        *(
            element("p", element("strong", each.name), f" is {each.shown}, and must be {each.rule}{_why(each)}", class_="broken")
            for each in broken
        ),
        figures(_headlines(run)),
        *([element("p", f"Latencies are {run.scope}.", class_="quiet")] if run.latencies else []),
    ]  # fmt: skip


def _why(broken: Verdict) -> str:
    """Return the end of the sentence about a broken threshold: what it means."""
    return f": {broken.words}." if broken.words else "."


def _headlines(run: Run) -> list[tuple[str, str]]:
    rows = []
    if run.most_connections is not None:
        rows.append(("connections at the height", f"{run.most_connections:,}"))
    elif run.timeline:
        rows.append(("connections at the height", f"{max(second.connections for second in run.timeline):,}"))
    rows.append(("operations", f"{sum(request.count for request in run.requests):,}"))
    rows.append(("failures", f"{sum(failure.count for failure in run.failures):,}"))
    for path, words in (("overhead", "overhead"), ("gateway", "latency")):
        if found := run.latencies.get(path):
            rows += [(f"{words}, p50", shown(found.p50, "s")), (f"{words}, p99", shown(found.p99, "s"))]
    return rows + [(figure.name, shown(figure.value, figure.unit)) for figure in run.figures]


def _thresholds(run: Run) -> Html | None:
    if not run.thresholds:
        return section("Thresholds", "None was judged." if run.stopped else "This scenario has none.")
    rows = [
        (
            join([each.name, element("span", f"must be {each.rule}", class_="range")]),
            each.shown,
            verdict(each.passed),
        )
        for each in run.thresholds
    ]
    return section(
        "Thresholds",
        "What must hold; the verdict is theirs.",
        table("Thresholds", ("measured", "is", "verdict"), rows),
    )


def _latency(run: Run) -> Html | None:
    if not run.latencies:
        return None
    drawn = [latency.distribution(run.latencies), latency.percentiles(run.latencies)]
    rows = [
        (path, f"{of.count:,}", *(shown(value, "s") for value in (of.p50, of.p95, of.p99, of.max)))
        for path, of in run.latencies.items()
    ]  # fmt: skip
    return section(
        "Latency",
        _about_latency(run),
        table("Latency", ("", "messages", "p50", "p95", "p99", "max"), rows),
        side_by_side(chart for chart in drawn if chart is not None),
    )


def _about_latency(run: Run) -> str:
    """Say what the rows that are there are about."""
    directly = ", and directly to a Studio where messages went both ways" if DIRECT in run.latencies else ""
    pair = " Overhead is the difference of such a pair." if OVERHEAD in run.latencies else ""
    return f"From sending a message until its answer: through the gateway{directly}.{pair} The times are {run.scope}."


def _timeline(run: Run) -> Html | None:
    charts = timeline.charts(run)
    if not charts and not run.events:
        return None
    events = [
        element("li", element("span", shown(event.at, "s"), class_="quiet"), f" {event.what}")
        for event in run.events
    ]
    return section(
        "Over time",
        "Numbers in the charts are these events:" if events else "",
        *([element("ol", *events, class_="events")] if events else []),
        side_by_side(charts),
    )


def _connections(run: Run) -> Html | None:
    parts = []
    if run.studios:
        parts.append(part("On each Studio", shares("Connections on each Studio", "Studio", run.studios)))
    if run.closes:
        parts.append(part("How they ended", shares("Close codes", "close code", run.closes, CLOSES)))
    return section("Connections", "", beside(*parts)) if parts else None


def _operations(run: Run) -> Html | None:
    requests = [
        (
            each.name,
            f"{each.count:,}",
            f"{each.failures:,}",
            *("—" if value is None else shown(value, "s") for value in (each.p50, each.p99, each.max)),
        )
        for each in run.requests
    ]
    failures = [(each.name, each.reason, f"{each.count:,}") for each in run.failures]
    return section(
        "Operations",
        "",
        *([table("Operations", ("operation", "count", "failed", "p50", "p99", "max"), requests)] if requests else []),
        element("h3", "Failures"),
        table("Failures", ("operation", "reason", "count"), failures, words=2)
        if failures
        else element("p", "None.", class_="quiet"),
    )  # fmt: skip


def _circumstances(run: Run) -> Html:
    return section(
        "Measured with",
        "",
        beside(
            part("Settings", named({"gateway": run.gateway_url, "direct": run.direct_url, **run.settings})),
            part("Machine", named(run.machine)),
            part("Versions", named(run.versions)),
        ),
    )
