"""Put together what a run has shown, leave the results, and say what was broken."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from argparse import Namespace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from loadtests.common.run import Figure, Run
from loadtests.common.units import shown
from loadtests.runs.recorder import MOST_CONNECTIONS, Recorder
from loadtests.runs.sampling import BUSIEST, CLIENT_CPU, CLIENT_FIGURES, CLIENT_SECONDS, LATE, Timeline
from loadtests.runs.thresholds import LATE_SECONDS
from loadtests.scenarios.console import CONSOLE
from loadtests.scenarios.director import Director
from loadtests.scenarios.options import settings
from loadtests.scenarios.results import REPORT, summary, write_folder
from loadtests.scenarios.scenario import Scenario

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_JUDGED: Final = 3

BUSY: Final = 0.9
"""A client that uses more of its core than this measures itself."""

GATEWAY: Final = "memmie-gateway"
VERSIONS: Final = ("locust", "gevent", "websockets", GATEWAY)


def put_together(
    scenario: Scenario,
    director: Director,
    timeline: Timeline,
    *,
    started: datetime,
    machine: dict[str, str | int],
    stopped: str,
) -> Run:
    """Return what a run has shown.

    Args:
        scenario: the scenario.
        director: has what was counted and done.
        timeline: what was seen from second to second.
        started: when.
        machine: what it ran on.
        stopped: why the scenario could not go on; "" if it came to its end.
    """
    counted, options, system = director.counted(), director.options, director.system
    values = {**_client(counted), **director.figures}
    if not stopped:  # else what users counted was not all that was to come
        counts = {name: counted.totals.get(name, counted.most.get(name, 0.0)) for name in scenario.counts}
        values = {**counts, **values}
    units = {**scenario.counts, **scenario.figures, **CLIENT_FIGURES}
    return Run(
        scenario=scenario.name,
        about=scenario.about,
        started=started.isoformat(timespec="seconds"),
        seconds=round(director.at, 3),
        gateway_url=system.gateways[0],
        direct_url=system.studios[0] if system.studios else None,
        settings=settings(options, director.seconds),
        machine=machine,
        versions=_versions(options),
        latencies=counted.latencies(),
        requests=counted.requests(),
        failures=counted.failures(),
        closes=dict(counted.closes),
        studios=director.studios,
        timeline=tuple(timeline.seconds),
        events=tuple(director.events),
        figures=tuple(Figure(name, values[name], unit) for name, unit in units.items() if name in values),
        measured=scenario.measured_time(director.seconds),
        most_connections=int(counted.totals[MOST_CONNECTIONS]),
        stopped=stopped,
    )


def _client(counted: Recorder) -> dict[str, float]:
    """Return what the load itself used, and say it if that was too much."""
    watched = counted.totals[CLIENT_SECONDS]
    if not watched:
        return {}
    busiest, late = counted.most[BUSIEST], counted.most[LATE]
    if busiest > BUSY:
        CONSOLE.say(
            f"note: the client used {shown(busiest, 'share')} of its core, so part of the latency is its own"
        )
    if late > LATE_SECONDS:
        words = "another program keeps this machine busy, or the load is too much for it"
        CONSOLE.say(f"note: the client was up to {shown(late, 's')} late: {words}")
    return {CLIENT_CPU: counted.totals[CLIENT_CPU] / watched, BUSIEST: busiest, LATE: late}


def _versions(options: Namespace) -> dict[str, str]:
    """Return the versions of what took part, without ours if the gateway is another."""
    found = {}
    for name in VERSIONS:
        if name == GATEWAY and options.gateway:
            continue
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
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
