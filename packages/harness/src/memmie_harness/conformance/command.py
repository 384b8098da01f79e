"""`memmie conformance`: running the kit against one or several gateways, its signals and its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final, TextIO

from memmie_harness.conformance import catalogue, known, reports
from memmie_harness.conformance.installed import not_installed
from memmie_harness.conformance.matrix.command import Pages, write_matrix
from memmie_harness.conformance.matrix.saved import parse_report
from memmie_harness.conformance.model import ConformanceTest, Report
from memmie_harness.conformance.output import OutputError, notes_stream, say, unwritable, usage, write
from memmie_harness.conformance.profile import Profile
from memmie_harness.conformance.profile_file import ProfileError, load_profile, ready_made
from memmie_harness.conformance.progress import Progress, not_offered, summary
from memmie_harness.conformance.runner import run as run_tests
from memmie_harness.conformance.runner import version_of

FAILED: Final = 1
"""Exit code if a test failed or could not be run."""

INTERRUPTED: Final = 130
"""Exit code after a signal."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line.

    Attributes:
        profiles: names of profiles, and paths of files.
        installed: run every profile of the kit instead, one after the other, if its program is installed.
        parts: run only tests with an id that contains one of these; none runs all.
        json: write the report of the only profile to this file; `-` is standard output.
        junit: write the same as JUnit XML to this file.
        reports: write the report of each profile to the file NAME.json in this folder.
        pages: where to write the matrix.
        image: run the only gateway in a container of this image instead of by its command.
        patience: seconds to wait for something that should come at once, instead of what the profile says.
    """

    profiles: Sequence[str] = ()
    installed: bool = False
    parts: Sequence[str] = ()
    json: str | None = None
    junit: str | None = None
    reports: str | None = None
    pages: Pages = field(default_factory=Pages)
    image: str | None = None
    patience: float | None = None


def run(options: Options) -> int:
    """Run the kit against the gateways of the profiles, and return the exit code."""
    tests = catalogue.choose(options.parts)
    if not tests:
        return usage(f"no test has {' or '.join(options.parts)} in its id; `--list` shows all")
    try:
        profiles = [load_profile(name) for name in (ready_made() if options.installed else options.profiles)]
    except ProfileError as error:
        return usage(str(error))
    files = [options.json, options.junit, *options.pages.files]
    if problem := _problem(options, profiles) or unwritable(files):
        return usage(problem)
    notes = notes_stream(files)
    if options.image is not None:
        profiles = [profile.with_image(options.image) for profile in profiles]
    absent = {each.name: why for each in profiles if (why := not_installed(each))}
    if absent and not options.installed:
        return usage("\n".join(absent.values()))
    profiles = [each for each in profiles if each.name not in absent]
    try:
        if options.reports is not None:
            Path(options.reports).mkdir(exist_ok=True)
    except OSError as error:
        return usage(f"{options.reports} cannot be made: {error.strerror}")
    found: list[Report] = []
    unwritten: list[str] = []
    for profile in profiles:
        if len(profiles) > 1:
            say(f"[{len(found) + 1}/{len(profiles)}] {profile.name}: {profile.title}", notes)
        report = _run_one(profile, tests, options, notes)
        if report is None:
            return INTERRUPTED
        found.append(report)
        try:
            write(*_files(profile, report, options))
        except OutputError as error:
            unwritten.append(str(error))
    for why in absent.values():
        say(why, notes)
    if not found:
        return usage("no gateway of the kit's profiles is installed")
    saved = [parse_report(reports.as_json(report).encode(), report.target) for report in found]
    try:
        write_matrix(saved, options.pages, list(absent))
    except OutputError as error:
        unwritten.append(str(error))
    if unwritten:
        return usage("\n".join(unwritten))
    if not any(report.ran for report in found):
        return usage("no test ran: choose others, or add to the profile what it lacks")
    return 0 if all(report.conforms for report in found) else FAILED


def _problem(options: Options, profiles: Sequence[Profile]) -> str | None:
    """Return why these options do not fit together."""
    if len(profiles) > 1 and (options.json or options.junit):
        return "--json and --junit are for one target; --reports FOLDER writes a report of each"
    if len(profiles) > 1 and options.image:
        return "--image is for one profile"
    names = [_file_name(profile) for profile in profiles]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        return f"two profiles have the name {double.removesuffix('.json')!r}"
    folder = Path(options.reports or ".").absolute()
    if not folder.parent.is_dir():
        return f"{options.reports} cannot be made: there is no folder {folder.parent}"
    if folder.exists() and not folder.is_dir():
        return f"{options.reports} is a file, but should be a folder"
    return None


def _file_name(profile: Profile) -> str:
    """Return the name of the report of a profile in a folder of reports."""
    return re.sub("[^A-Za-z0-9_.-]", "_", profile.name).lstrip(".") + ".json"


def _run_one(
    profile: Profile, tests: Sequence[ConformanceTest], options: Options, notes: TextIO
) -> Report | None:
    """Run the tests against one gateway; return None after a signal."""
    if options.patience is not None:
        profile = profile.with_patience(options.patience)
    with asyncio.Runner() as runner:
        return runner.run(_run(profile, tests, notes))


def _files(profile: Profile, report: Report, options: Options) -> list[tuple[str | None, str]]:
    """Return the reports of one gateway, each with the name of its file."""
    in_folder = str(Path(options.reports) / _file_name(profile)) if options.reports is not None else None
    content = reports.as_json(report)
    return [(options.json, content), (options.junit, reports.as_junit(report)), (in_folder, content)]


def list_profiles() -> int:
    """Print the profiles that come with the kit, and which of their programs are not installed."""
    for name in ready_made():
        profile = load_profile(name)
        say(f"{name:<14}{profile.title}{' (not installed)' if not_installed(profile) else ''}", sys.stdout)
    return 0


def list_tests(parts: Sequence[str]) -> int:
    """Print the tests with an id that contains one of these parts."""
    for test in catalogue.choose(parts):
        needs = f" [needs {', '.join(sorted(test.needs))}]" if test.needs else ""
        say(f"{test.id} ({test.level}, {test.rule}): {test.title}{needs}", sys.stdout)
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
        say("stopped", notes)
        return None
    progress.clear()
    seconds = time.monotonic() - started
    lines = [summary(report, seconds), *not_offered(profile, report), *known.summary(profile, report)]
    say("\n".join(lines), notes)
    return report


@contextlib.contextmanager
def _signals_cancel_this_task() -> Iterator[None]:
    """Cancel the current task at a signal that ends programs, so that every process that was started is stopped."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for signum in signals:
        loop.add_signal_handler(signum, task.cancel)
    try:
        yield
    finally:
        for signum in signals:
            loop.remove_signal_handler(signum)
