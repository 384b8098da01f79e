"""The page of a scenario's run: the verdict first, then why, then what it was measured with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadtests.common.files import write_whole
from loadtests.common.run import GATEWAY, OVERHEAD, Run
from loadtests.common.units import shown
from loadtests.report.charts import run as charts
from loadtests.report.page import STATES, Note, Tile, render

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
    verdict = WORDS[run.passed]
    return render(
        f"{name}, {verdict}",
        "run.html",
        "run.json",
        run=run,
        name=name,
        verdict=f"{verdict}: {run.not_judged.partition(':')[0]}" if run.not_judged else verdict,
        state=STATES.get,
        tiles=list(_tiles(run)),
        thresholds=[
            (
                Note(each.name, f"must be {each.rule}"),
                each.shown,
                Note(WORDS[each.passed], "", STATES[each.passed]),
            )
            for each in run.thresholds
        ],
        latencies=[
            (path, *(shown(value, "s") for value in (of.p50, of.p95, of.p99, of.max)), f"{of.count:,}")
            for path, of in run.latencies.items()
        ],
        distributions=charts.distributions(run.latencies),
        over_time=charts.over_time(run),
        requests=[
            (
                each.name,
                f"{each.count:,}",
                f"{each.failures:,}",
                *map(_seconds, (each.p50, each.p99, each.max)),
            )
            for each in run.requests
        ],
        failures=[(each.name, each.reason, f"{each.count:,}") for each in run.failures],
        settings={"gateway": run.gateway_url, "direct": run.direct_url, **run.settings},
    )


def _seconds(value: float | None) -> str:
    return "—" if value is None else shown(value, "s")


def _tiles(run: Run) -> Iterator[Tile]:
    """Return the headline figures; a figure and its threshold have the same name."""
    broken = {each.name: f"must be {each.rule}" for each in run.thresholds if each.passed is False}
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
