"""The page of a scenario's run: the verdict first, then why, then what it was measured with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from loadtests.common.files import write_whole
from loadtests.common.run import Run
from loadtests.report.charts import run as charts
from loadtests.report.page import render

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
        distributions=charts.distributions(run.latencies),
        over_time=charts.over_time(run),
    )
