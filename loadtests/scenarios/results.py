"""What a run says while it lasts, and what it leaves: run.json, the CSV files, the report, a short table and an exit code."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from loadtests.common.errors import UsageError
from loadtests.common.files import discard_output
from loadtests.common.run import Request, Run, Second
from loadtests.common.units import shown
from loadtests.report.run import write as write_report
from loadtests.runs.sampling import BUSIEST, LATE
from loadtests.runs.thresholds import LATE_SECONDS

RUN: Final = "run.json"
REPORT: Final = "report.html"

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_JUDGED: Final = 3

BUSY: Final = 0.9
"""A client that uses more of its core than this measures itself."""

FEW: Final = 100
"""Of fewer samples, the slowest hundredth is the greatest alone."""

PROGRESS_SECONDS: Final = 5

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


@dataclass
class Console:
    """Standard error, where a run speaks."""

    command: str = "locust"  # what begins a complaint
    json: bool = False  # whether run.json is printed instead of the table
    # Whether progress is shown; Locust's own statistics do that if `locust` is the command.
    follows: bool = False

    def say(self, line: str) -> None:
        """Write a line."""
        print(line, file=sys.stderr, flush=True)

    def complain(self, words: str) -> None:
        """Write what went wrong."""
        self.say(f"{self.command}: {words}")

    def tell(self, scenario: str, second: Second) -> None:
        """Show what the run did in its last second, now and then."""
        if not self.follows or round(second.at) % PROGRESS_SECONDS:
            return
        parts = [
            f"{scenario} {second.at:.0f} s",
            f"{second.connections} connections",
            f"{second.messages} messages/s",
        ]
        if second.p50 is not None and second.p99 is not None:
            parts.append(f"p50 {shown(second.p50, 's')}, p99 {shown(second.p99, 's')}")
        if second.gateway_cpu is not None and second.gateway_rss is not None:
            parts.append(f"gateway {second.gateway_cpu:.0%}, {shown(second.gateway_rss, 'bytes')}")
        self.say(" · ".join([*parts, f"{second.failures} failures"]))


CONSOLE: Final = Console()
"""This process's; `load.py` changes it."""


@contextlib.contextmanager
def run_folder(folder: Path, *, may_exist: bool) -> Iterator[Path]:
    """Reserve a folder for the length of the block; remove it if nothing was left in it.

    It must not have the results of another run.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=may_exist)
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


def write_folder(run: Run, folder: Path) -> None:
    """Write the results of a run; run.json is the last, so that a folder that has it has everything."""
    _write_table(folder / "requests.csv", Request, run.requests)
    _write_table(folder / "timeline.csv", Second, run.timeline)
    write_report(run, folder / REPORT)
    (folder / RUN).write_text(json.dumps(run.as_json(), indent=1) + "\n")


def _write_table(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    with path.open("w", newline="") as file:
        names = [field.name for field in fields(kind)]
        writer = csv.DictWriter(file, names)
        writer.writerow({name: _UNITS.get(name, name) for name in names})
        writer.writerows(asdict(row) for row in rows)


def leave_results(run: Run, folder: Path | None) -> int:
    """Write a run that was judged to a folder, if there is one; print it, and return the exit code."""
    unwritten = ""
    try:
        if folder is not None:
            write_folder(run, folder)
    except OSError as error:
        unwritten = f"the results cannot be written: {error} (--out)"
    try:
        print(json.dumps(run.as_json()) if CONSOLE.json else summary(run), flush=True)
    except OSError as error:  # the reader has left, or its disk is full
        discard_output()
        if not isinstance(error, BrokenPipeError):
            unwritten = f"standard output cannot be written: {error}"
    client = {figure.name: figure.value for figure in run.figures}
    if (busiest := client.get(BUSIEST, 0)) > BUSY:
        share = shown(busiest, "share")
        CONSOLE.say(f"note: the client used {share} of its core, so part of the latency is its own")
    if (late := client.get(LATE, 0)) > LATE_SECONDS:
        words = "another program keeps this machine busy, or the load is too much for it"
        CONSOLE.say(f"note: the client was up to {shown(late, 's')} late: {words}")
    if unwritten:
        CONSOLE.complain(unwritten)
    elif folder is not None:
        CONSOLE.say(f"report: {folder / REPORT}")
    if run.stopped:
        CONSOLE.complain(f"could not go on: {run.stopped}")
    for each in run.thresholds:
        if not each.passed:
            CONSOLE.complain(f"{each.name} is {each.shown}, and must be {each.rule}: {each.words}")
    if run.passed is None:
        CONSOLE.complain(f"not judged: {run.not_judged}")
    if unwritten or run.passed is False:
        return EXIT_FAILED
    return 0 if run.passed else EXIT_NOT_JUDGED


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
