"""The page of a scenario's run: the verdict first, then why, then what it was measured with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from loadtests.common.files import write_whole
from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Run, Verdict
from loadtests.common.units import shown
from loadtests.report.charts import latency, timeline
from loadtests.report.layout import (
    FAILED,
    NOT_JUDGED,
    PASSED,
    Tile,
    beside,
    document,
    moment,
    named,
    noted,
    part,
    quiet,
    section,
    shares,
    side_by_side,
    state,
    table,
    tiles,
    title,
    verdict,
)
from loadtests.report.markup import Html, element

GATEWAY_PACKAGE: Final = "memmie-gateway"

WORDS: Final = {PASSED: "passed", FAILED: "failed", NOT_JUDGED: "not judged"}

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
    write_whole(path, page(run))


def page(run: Run) -> str:
    """Return the page of a run."""
    version = run.versions.get(GATEWAY_PACKAGE)
    name = f"{GATEWAY_PACKAGE} {version}: {run.scenario}" if version else run.scenario
    sections = [
        _thresholds(run),
        _latency(run),
        _timeline(run),
        _connections(run),
        _operations(run),
        _circumstances(run),
    ]
    return document(f"{name}, {WORDS[state(run.passed)]}", _head(run, name), sections, "run.json")


def _head(run: Run, name: str) -> list[Html]:
    words = WORDS[state(run.passed)]
    if run.passed is None and run.not_judged:
        words = f"not judged: {run.not_judged.partition(':')[0]}"
    broken = [each for each in run.thresholds if each.passed is False]
    alerts = [_alert("Not judged", f": {run.not_judged}", NOT_JUDGED)] if run.not_judged else []
    alerts += [_alert("Could not go on", f": {run.stopped}")] if run.stopped else []
    alerts += [_alert(each.name, f" is {each.shown}, and must be {each.rule}{_why(each)}") for each in broken]
    return [
        title(name, verdict(state(run.passed), words)),
        element("p", run.about),
        element("p", f"{moment(run.started)}, took {shown(run.seconds, 's')}, ", element("code", run.gateway_url), class_="quiet"),
        *alerts,
        tiles(_tiles(run, {each.name: f"must be {each.rule}" for each in broken})),
        *(quiet(f"Latencies are {run.scope}.") if run.latencies else []),
    ]  # fmt: skip


def _alert(what: str, words: str, state: str = FAILED) -> Html:
    return element("p", element("strong", what), words, class_=f"alert {state}")


def _why(broken: Verdict) -> str:
    """Return the end of the sentence about a broken threshold: what it means."""
    return f": {broken.words}." if broken.words else "."


def _tiles(run: Run, broken: Mapping[str, str]) -> Iterator[Tile]:
    """Return the headline figures, each with the rule that it breaks, by the names of thresholds."""
    most = run.most_connections
    if most is None and run.timeline:
        most = max(second.connections for second in run.timeline)
    if most is not None:
        yield Tile("connections at the height", f"{most:,}")
    yield Tile("operations", f"{sum(request.count for request in run.requests):,}")
    yield Tile("failures", f"{sum(failure.count for failure in run.failures):,}", broken.get("failures", ""))
    for path, words in ((OVERHEAD, "overhead"), (GATEWAY, "latency")):
        if found := run.latencies.get(path):
            for percentile, value in (("p50", found.p50), ("p99", found.p99)):
                yield Tile(
                    f"{words}, {percentile}", shown(value, "s"), broken.get(f"{path} {percentile}", "")
                )
    for figure in run.figures:
        yield Tile(figure.name, shown(figure.value, figure.unit), broken.get(figure.name, ""))


def _thresholds(run: Run) -> Html | None:
    if not run.thresholds:
        return section("Thresholds", "None was judged." if run.stopped else "This scenario has none.")
    rows = [
        (
            noted(each.name, f"must be {each.rule}"),
            each.shown,
            verdict(state(each.passed), WORDS[state(each.passed)]),
        )
        for each in run.thresholds
    ]
    return section(
        "Thresholds",
        "What must hold; the verdict follows from it.",
        table("Thresholds", ("measured", "is", "verdict"), rows),
    )


def _latency(run: Run) -> Html | None:
    if not run.latencies:
        return None
    drawn = [latency.distribution(run.latencies), latency.percentiles(run.latencies)]
    rows = [
        (path, *(shown(value, "s") for value in (of.p50, of.p95, of.p99, of.max)), f"{of.count:,}")
        for path, of in run.latencies.items()
    ]
    return section(
        "Latency",
        _about_latency(run),
        table("Latency", ("", "p50", "p95", "p99", "max", "messages"), rows),
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
        parts.append(part("On each Studio", shares("Connections on each Studio", "Studio", run.studios, {})))
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
