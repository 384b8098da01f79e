"""What a run leaves: a folder with run.json, requests.csv, timeline.csv and the report, and a short table."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from loadtests.common.errors import UsageError
from loadtests.common.run import Request, Run, Second
from loadtests.common.units import shown
from loadtests.report.run import write as write_report

RUN: Final = "run.json"
REQUESTS: Final = "requests.csv"
TIMELINE: Final = "timeline.csv"
REPORT: Final = "report.html"

FEW: Final = 100
"""Of fewer samples, the slowest hundredth is the greatest alone."""

VERDICTS: Final = {True: "passed", False: "BROKEN", None: "not judged"}

_UNITS: Final = {
    "at": "at_seconds",
    "p50": "p50_seconds",
    "p99": "p99_seconds",
    "max": "max_seconds",
    "gateway_cpu": "gateway_cpu_cores",
    "gateway_rss": "gateway_rss_bytes",
}
"""Names of columns with a unit."""


@contextlib.contextmanager
def run_folder(chosen: Path | None, default: Path) -> Iterator[Path]:
    """Reserve a folder without another run's results for the length of the block; remove it if nothing was left in it.

    Args:
        chosen: the user's; it may exist, but not with a run in it. None for the default.
        default: if that exists, `-2`, `-3` and so on are appended.

    Raises:
        UsageError: it cannot be made or used.
    """
    folder = chosen or default
    try:
        made = chosen is None or not chosen.exists()
        if chosen is None:
            folder = _fresh(default)
        else:
            chosen.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be created: {error.strerror} (--out)") from None
    if (folder / RUN).exists():
        raise UsageError(f"{folder} already has the results of a run: choose another folder (--out)")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be written to (--out)")
    try:
        yield folder
    finally:
        if made:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _fresh(default: Path) -> Path:
    folder, numbers = default, itertools.count(2)
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            folder = default.with_name(f"{default.name}-{next(numbers)}")
        else:
            return folder


def write_folder(run: Run, folder: Path) -> None:
    """Write the results of a run.

    Args:
        run: the run.
        folder: where to, as `run_folder` gives it.

    Raises:
        OSError: it cannot be written; nothing of it is left then.
    """
    try:
        (folder / RUN).write_text(json.dumps(run.as_json(), indent=1) + "\n")
        _write_table(folder / REQUESTS, Request, run.requests)
        _write_table(folder / TIMELINE, Second, run.timeline)
        write_report(run, folder / REPORT)
    except OSError:
        for name in (RUN, REQUESTS, TIMELINE, REPORT):
            (folder / name).unlink(missing_ok=True)
        raise


def _write_table(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    with path.open("w", newline="") as file:
        names = [field.name for field in fields(kind)]
        writer = csv.DictWriter(file, names)
        writer.writerow({name: _UNITS.get(name, name) for name in names})
        writer.writerows(asdict(row) for row in rows)


def summary(run: Run) -> str:
    """Return what a run has shown, as lines of text."""
    latencies = [
        [path, f"{of.count:,}", *(shown(value, "s") for value in (of.p50, of.p95, of.p99, of.max))]
        for path, of in run.latencies.items()
    ]
    few = [
        f"{path} has only {of.count} samples, so p99 is the maximum"
        for path, of in run.latencies.items()
        if of.count < FEW
    ]
    verdicts = [[VERDICTS[each.passed], f"{each.name} {each.rule}", each.shown] for each in run.thresholds]
    heads = [["latency", "count", "p50", "p95", "p99", "max"]]
    blocks = [
        [f"{run.scenario}: {run.about}"],
        [*_aligned(heads + latencies), f"latencies are {run.scope}", *few] if latencies else [],
        _aligned([figure.name, shown(figure.value, figure.unit)] for figure in run.figures),
        [f"{failure.name}: {failure.reason} ({failure.count})" for failure in run.failures],
        [f"closed {code}: {count}" for code, count in run.closes.items()],
        [f"could not go on: {run.stopped}"] if run.stopped else [],
        _aligned(verdicts),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _aligned(rows: Iterable[list[str]]) -> list[str]:
    """Return lines with columns, the first to the left, the others to the right."""
    table = list(rows)
    first, *others = (max(map(len, column)) for column in zip(*table, strict=True)) if table else [0]
    return ["  ".join([head.ljust(first), *map(str.rjust, cells, others)]).rstrip() for head, *cells in table]
