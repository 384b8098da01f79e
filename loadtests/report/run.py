"""The page of a scenario's run: the verdict first, then why, then what it was measured with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from loadtests.common.files import write_whole
from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Run, Verdict
from loadtests.common.units import shown
from loadtests.report import layout as ui
from loadtests.report.charts import run as charts
from loadtests.report.markup import Html, element

GATEWAY_PACKAGE: Final = "memmie-gateway"

WORDS: Final = {ui.PASSED: "passed", ui.FAILED: "failed", ui.NOT_JUDGED: "not judged"}

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
    return ui.document(f"{name}, {WORDS[ui.state(run.passed)]}", _head(run, name), sections, "run.json")


def _head(run: Run, name: str) -> list[Html]:
    words = WORDS[ui.state(run.passed)]
    if run.passed is None and run.not_judged:
        words = f"not judged: {run.not_judged.partition(':')[0]}"
    broken = [each for each in run.thresholds if each.passed is False]
    alerts = [_alert("Not judged", f": {run.not_judged}", ui.NOT_JUDGED)] if run.not_judged else []
    alerts += [_alert("Could not go on", f": {run.stopped}")] if run.stopped else []
    alerts += [_alert(each.name, f" is {each.shown}, and must be {each.rule}{_why(each)}") for each in broken]
    return [
        ui.title(name, ui.verdict(ui.state(run.passed), words)),
        element("p", run.about),
        element("p", f"{ui.moment(run.started)}, took {shown(run.seconds, 's')}, ", element("code", run.gateway_url), class_="quiet"),
        *alerts,
        ui.tiles(_tiles(run, {each.name: f"must be {each.rule}" for each in broken})),
        *(ui.quiet(f"Latencies are {run.scope}.") if run.latencies else []),
    ]  # fmt: skip


def _alert(what: str, words: str, state: str = ui.FAILED) -> Html:
    return element("p", element("strong", what), words, class_=f"alert {state}")


def _why(broken: Verdict) -> str:
    """Return the end of the sentence about a broken threshold: what it means."""
    return f": {broken.words}." if broken.words else "."


def _tiles(run: Run, broken: Mapping[str, str]) -> Iterator[ui.Tile]:
    """Return the headline figures, each with the rule that it breaks, by the names of thresholds."""
    most = run.most_connections
    if most is None and run.timeline:
        most = max(second.connections for second in run.timeline)
    if most is not None:
        yield ui.Tile("connections at the height", f"{most:,}")
    yield ui.Tile("operations", f"{sum(request.count for request in run.requests):,}")
    yield ui.Tile(
        "failures", f"{sum(failure.count for failure in run.failures):,}", broken.get("failures", "")
    )
    for path, words in ((OVERHEAD, "overhead"), (GATEWAY, "latency")):
        if found := run.latencies.get(path):
            for percentile, value in (("p50", found.p50), ("p99", found.p99)):
                yield ui.Tile(
                    f"{words}, {percentile}", shown(value, "s"), broken.get(f"{path} {percentile}", "")
                )
    for figure in run.figures:
        yield ui.Tile(figure.name, shown(figure.value, figure.unit), broken.get(figure.name, ""))


def _thresholds(run: Run) -> Html | None:
    if not run.thresholds:
        return ui.section("Thresholds", "None was judged." if run.stopped else "This scenario has none.")
    rows = [
        (
            ui.noted(each.name, f"must be {each.rule}"),
            each.shown,
            ui.verdict(ui.state(each.passed), WORDS[ui.state(each.passed)]),
        )
        for each in run.thresholds
    ]
    return ui.section(
        "Thresholds",
        "What must hold; the verdict follows from it.",
        ui.table("Thresholds", ("measured", "is", "verdict"), rows),
    )


def _latency(run: Run) -> Html | None:
    if not run.latencies:
        return None
    drawn = [charts.distribution(run.latencies), charts.percentiles(run.latencies)]
    rows = [
        (path, *(shown(value, "s") for value in (of.p50, of.p95, of.p99, of.max)), f"{of.count:,}")
        for path, of in run.latencies.items()
    ]
    return ui.section(
        "Latency",
        _about_latency(run),
        ui.table("Latency", ("", "p50", "p95", "p99", "max", "messages"), rows),
        ui.side_by_side(chart for chart in drawn if chart is not None),
    )


def _about_latency(run: Run) -> str:
    """Say what the rows that are there are about."""
    directly = ", and directly to a Studio where messages went both ways" if DIRECT in run.latencies else ""
    pair = " Overhead is the difference of such a pair." if OVERHEAD in run.latencies else ""
    return f"From sending a message until its answer: through the gateway{directly}.{pair} The times are {run.scope}."


def _timeline(run: Run) -> Html | None:
    drawn = charts.over_time(run)
    if not drawn and not run.events:
        return None
    events = [
        element("li", element("span", shown(event.at, "s"), class_="quiet"), f" {event.what}")
        for event in run.events
    ]
    return ui.section(
        "Over time",
        "Numbers in the charts are these events:" if events else "",
        *([element("ol", *events, class_="events")] if events else []),
        ui.side_by_side(drawn),
    )


def _connections(run: Run) -> Html | None:
    parts = []
    if run.studios:
        parts.append(
            ui.part("On each Studio", ui.shares("Connections on each Studio", "Studio", run.studios, {}))
        )
    if run.closes:
        parts.append(ui.part("How they ended", ui.shares("Close codes", "close code", run.closes, CLOSES)))
    return ui.section("Connections", "", ui.beside(*parts)) if parts else None


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
    return ui.section(
        "Operations",
        "",
        *([ui.table("Operations", ("operation", "count", "failed", "p50", "p99", "max"), requests)] if requests else []),
        element("h3", "Failures"),
        ui.table("Failures", ("operation", "reason", "count"), failures, words=2)
        if failures
        else element("p", "None.", class_="quiet"),
    )  # fmt: skip


def _circumstances(run: Run) -> Html:
    return ui.section(
        "Measured with",
        "",
        ui.beside(
            ui.part(
                "Settings", ui.named({"gateway": run.gateway_url, "direct": run.direct_url, **run.settings})
            ),
            ui.part("Machine", ui.named(run.machine)),
            ui.part("Versions", ui.named(run.versions)),
        ),
    )
