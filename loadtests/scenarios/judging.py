"""Put together what a run has shown, judge it by its thresholds, and leave the results."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from loadtests.common.run import Figure, Run, Setting
from loadtests.common.units import shown
from loadtests.runs.recorder import Recorder
from loadtests.runs.sampling import BUSIEST, CLIENT_CPU, CLIENT_SECONDS, LATE
from loadtests.runs.table import could_not_go_on, summary
from loadtests.runs.thresholds import LATE_SECONDS, metric_names
from loadtests.scenarios.console import CONSOLE
from loadtests.scenarios.folder import REPORT, write_folder
from loadtests.scenarios.scenario import Scenario

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_JUDGED: Final = 3

BUSY: Final = 0.9
"""A client that uses more of its core than this measures itself."""

GATEWAY: Final = "memmie-gateway"
VERSIONS: Final = ("locust", "gevent", "websockets", GATEWAY)

_SETTINGS: Final = ("seconds", "every", "messages", "group", "pin", "abusers")
_LIMITS: Final = ("user_connections", "message_rate", "message_burst", "message_delay")
"""Options that say what is done, not where."""


def client_figures(counted: Recorder) -> list[Figure]:
    """Return what the load itself used, and say it if that was too much."""
    watched = counted.totals[CLIENT_SECONDS]
    if not watched:
        return []
    busiest, late = counted.most[BUSIEST], counted.most.get(LATE, 0.0)
    if busiest > BUSY:
        CONSOLE.say(
            f"note: the client used {shown(busiest, 'share')} of its core: what it shows is partly its own"
        )
    if late > LATE_SECONDS:
        words = "something else keeps this machine busy, or the load is too much for it"
        CONSOLE.say(f"note: the client was up to {shown(late, 's')} late: {words}")
    return [
        Figure(CLIENT_CPU, counted.totals[CLIENT_CPU] / watched, "share"),
        Figure(BUSIEST, busiest, "share"),
        Figure(LATE, late, "s"),
    ]


def metrics(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of everything that thresholds of a scenario may be about."""
    return metric_names(scenario.latencies, (*scenario.figures, CLIENT_CPU, BUSIEST, LATE))


def settings(scenario: Scenario, options: Namespace, seconds: float) -> dict[str, Setting]:
    """Return the options that say what was done."""
    found: dict[str, Setting] = {"connections": options.num_users, "users a second": options.spawn_rate}
    for name in (*_SETTINGS, *_LIMITS):
        if hasattr(options, name) and not (
            name == "pin" and options.gateway
        ):  # nothing was started to be pinned
            found[name] = getattr(options, name)
    return {**found, "seconds": seconds} if scenario.timed else found


def versions(options: Namespace) -> dict[str, str]:
    """Return the versions of what took part, without ours if the gateway is another."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if options.gateway:
        found.pop(GATEWAY, None)
    return found


def leave_results(run: Run, folder: Path | None) -> int:
    """Write and print a run; return the exit code.

    Args:
        run: what was judged.
        folder: where to; None for nowhere.
    """
    unwritten = ""
    if folder is not None:
        try:
            write_folder(run, folder)
        except OSError as error:
            unwritten = f"the results cannot be written: {error} (--out)"
    CONSOLE.clear()
    try:
        print(json.dumps(run.as_json()) if CONSOLE.json else summary(run), flush=True)
    except OSError as error:  # the reader has left, or its disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            unwritten = unwritten or f"standard output cannot be written: {error}"
    if unwritten:
        CONSOLE.complain(unwritten)
    elif folder is not None:
        CONSOLE.say(f"report: {folder / REPORT}")
    _say_what_was_broken(run)
    if unwritten or run.passed is False:
        return EXIT_FAILED
    return 0 if run.passed else EXIT_NOT_JUDGED


def _say_what_was_broken(run: Run) -> None:
    if run.stopped:
        CONSOLE.complain(could_not_go_on(run))
    for verdict in run.thresholds:
        if not verdict.passed:
            CONSOLE.complain(
                f"{verdict.name} is {verdict.shown}, and must be {verdict.rule}: {verdict.words}"
            )
    if run.passed is None:
        CONSOLE.complain(f"not judged: {run.not_judged}")
