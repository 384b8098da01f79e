"""`memmie conformance`: its output, its signals and its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, TextIO

from memmie_harness.conformance import catalogue, reports
from memmie_harness.conformance.model import ConformanceTest, Outcome, Report, Result
from memmie_harness.conformance.profile import Profile
from memmie_harness.conformance.profile_file import ProfileError, load_profile, ready_made
from memmie_harness.conformance.runner import run as run_tests
from memmie_harness.conformance.runner import version_of

FAILED: Final = 1
"""Exit code if a test failed or could not be run."""

USAGE: Final = 2
"""Exit code for an invalid profile, or if no test is chosen."""

INTERRUPTED: Final = 130
"""Exit code after a signal."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line.

    Attributes:
        profile: the name of a profile, or the path of a file.
        parts: run only tests with an id that contains one of these; none runs all.
        json: write the report to this file; `-` is standard output.
        junit: write the report as JUnit XML to this file.
        image: run the gateway in a container of this image instead of by its command.
        patience: seconds to wait for something that should come at once, instead of what the profile says.
    """

    profile: str
    parts: Sequence[str] = ()
    json: str | None = None
    junit: str | None = None
    image: str | None = None
    patience: float | None = None


def run(options: Options) -> int:
    """Run the kit against the gateway of a profile, and return the exit code."""
    tests = catalogue.choose(options.parts)
    if not tests:
        return _usage(f"no test has {' or '.join(options.parts)} in its id; `--list` shows all")
    try:
        profile = load_profile(options.profile)
    except ProfileError as error:
        return _usage(str(error))
    if options.image is not None:
        profile = profile.with_image(options.image)
    if options.patience is not None:
        profile = profile.with_patience(options.patience)
    notes = sys.stderr if options.json == "-" else sys.stdout
    with asyncio.Runner() as runner:
        report = runner.run(_run(profile, tests, notes))
    if report is None:
        return INTERRUPTED
    _write(options.json, reports.as_json(report))
    _write(options.junit, reports.as_junit(report))
    return 0 if report.conforms else FAILED


def list_profiles() -> int:
    """Print the profiles that come with the kit."""
    for name in ready_made():
        _say(f"{name:<14}{load_profile(name).title}", sys.stdout)
    return 0


def list_tests(parts: Sequence[str]) -> int:
    """Print the tests with an id that contains one of these parts."""
    for test in catalogue.choose(parts):
        needs = f" [needs {', '.join(sorted(test.needs))}]" if test.needs else ""
        _say(f"{test.id} ({test.level}, {test.rule}): {test.title}{needs}", sys.stdout)
    return 0


async def _run(profile: Profile, tests: Sequence[ConformanceTest], notes: TextIO) -> Report | None:
    """Run the tests, and print results; return None after a signal, when everything is stopped."""
    progress = Progress(len(tests), notes)
    started = time.monotonic()
    try:
        with _signals_cancel_this_task():
            versions = {"memmie-harness": version("memmie-harness"), "python": sys.version.split()[0]}
            if own := await version_of(profile):
                versions[profile.name] = own
            report = await run_tests(profile, tests, versions=versions, on_result=progress.add)
    except asyncio.CancelledError:
        progress.clear()
        _say("stopped", notes)
        return None
    progress.clear()
    _say(summary(report, time.monotonic() - started), notes)
    return report


class Progress:
    """Prints what failed, and on a terminal how far the run is.

    Args:
        total: the number of tests.
        stream: where to print.
    """

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._done = 0
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._problems: set[str] = set()

    def add(self, result: Result) -> None:
        """Note a result."""
        self._done += 1
        self.clear()
        if result.outcome is Outcome.FAILED:
            _say(reports.explain(result), self._stream)
        elif result.outcome is Outcome.ERROR and result.evidence.seen not in self._problems:
            # A gateway that does not start is the same problem for every test.
            self._problems.add(result.evidence.seen)
            _say(reports.explain(result), self._stream)
        if self._is_terminal:
            self._stream.write(f"[{self._done}/{self._total}] {result.test.id}")
            self._stream.flush()

    def clear(self) -> None:
        """Remove the line of the progress."""
        if self._is_terminal:
            self._stream.write("\r\x1b[2K")


def summary(report: Report, seconds: float) -> str:
    """Return the results as a table: a line for each group, and the sum."""
    groups: dict[str, Counter[Outcome]] = {}
    for result in report.results:
        groups.setdefault(result.test.group, Counter())[result.outcome] += 1
    columns = list(Outcome)
    lines = [f"{report.target:<14}" + "".join(f"{outcome:>13}" for outcome in columns)]
    for group, counts in groups.items():
        lines.append(f"{group:<14}" + "".join(f"{counts[outcome] or '':>13}" for outcome in columns))
    lines.append(f"{'all':<14}" + "".join(f"{report.count(outcome):>13}" for outcome in columns))
    lines.append(f"{len(report.results)} tests in {seconds:.1f} s")
    return "\n".join(lines)


def _usage(problem: str) -> int:
    _say(f"memmie conformance: {problem}", sys.stderr)
    return USAGE


def _say(text: str, stream: TextIO) -> None:
    print(text, file=stream, flush=True)


def _write(name: str | None, text: str) -> None:
    if name == "-":
        sys.stdout.write(text)
    elif name is not None:
        Path(name).write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _signals_cancel_this_task() -> Iterator[None]:
    """Cancel the current task at SIGINT or SIGTERM, so that every process that was started is stopped."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    signals = (signal.SIGINT, signal.SIGTERM)
    for signum in signals:
        loop.add_signal_handler(signum, task.cancel)
    try:
        yield
    finally:
        for signum in signals:
            loop.remove_signal_handler(signum)
