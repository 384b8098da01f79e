"""Breaks Studios, Auth, names and gateways under 200 clients, and judges whether anything was lost, doubled or leaked.

    nox -s chaos                         two minutes, as in CI
    nox -s chaos -- --minutes 10         longer: each kind of fault comes several times
    nox -s chaos -- --seed 7             the run with this seed again
    nox -s chaos -- --only GatewayFrozen --minutes 1     one kind of fault only
    nox -s chaos -- --users 60           fewer users, on a slow machine
    nox -s chaos -- --list               all kinds of faults

200 users have two connections each, through two gateways to three or four Studios. One sends numbered messages; the
other, the witness, gets an event for each of them, and leaves and comes back now and then. A third of the connections
speak Socket.IO: over polling, with an upgrade, or over a WebSocket. 20 further users send HTTP requests. Everything runs
on loopback as processes of its own. Faults come one at a time. The seed decides order, targets and durations; it is printed first,
together with the schedule. But processes and sockets have their own timing, so two runs with one seed are alike, not
equal.

The last Studio of the four runs only for a while. Ten of the users send faster than their message rate, so that messages
wait in the gateways when a fault comes. The verdicts at the end:

    delivered   nothing acknowledged is missing in the Studios' journals, and nothing is there twice
    acked       each message without acknowledgement was sent on a connection whose end its client saw
    forwarded   what a client sent before it left, or a drain or a move told it to go, is at Studio, even if it was held
                back
    witnessed   a witness gets each event of its connection once, in order, without a gap
    unnoticed   a connection ends, or is late, only in the reach of a fault that may cost this, or by a move
    told        a client learns why its connection ends, unless its gateway is ended
    refused     a client is refused only during a fault that may cost this
    answered    an HTTP request gets Studio's answer in time, or a refusal of docs/closing.md during a fault; no POST
                reaches a Studio twice
    moves       every move that a client saw is counted in the metric
    splits      no user is split for longer than documented, when there is no fault
    leaks       without clients, the gateways hold no connection, place, descriptor, task, memory or object of Socket.IO more
                than before
    stopped     a gateway that is told to end does so in time, with exit code 0

The clients and the relays are in the process of the run. If this process does not run for a while, or is busy, each
limit in seconds is longer by these pauses (`pauses.py`). An end or a refusal within a few seconds of a long pause is not
judged, but printed.

`faults` has the faults and what each may cost, `stage.py` the processes, `link.py` the relays that cut connections,
`people.py` the clients, `callers.py` those who send HTTP requests, `course.py` the run, and `invariants.py` the verdicts. It needs Linux. The exit code is 0 if all
verdicts hold, 1 if not, and 2 for an invalid argument. The journals and logs are kept if a verdict does not hold; the
last line says where.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from tests.chaos.course import Course
from tests.chaos.faults import FAULTS, schedule
from tests.chaos.faults.studios import StudioAdded, StudioRemoved
from tests.chaos.people import HASTY, USERS, People
from tests.chaos.records import Violation
from tests.chaos.report import Report
from tests.chaos.service import StageError
from tests.chaos.stage import Stage

from memmie_harness.targets.errors import TargetError


def _already_ending() -> None:
    """Take a second Ctrl-C, so that no process is left behind."""
    print("every process is being ended, wait", file=sys.stderr)


async def perform(folder: Path, seed: int, seconds: float, users: int, only: str | None) -> bool:
    """Run once; return whether all verdicts hold."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    rng = random.Random(seed)  # noqa: S311 - no secret depends on it
    stage = Stage(folder)
    faults = schedule(stage, rng, seconds, only)
    print(f"seed {seed}, {len(faults)} faults:")
    for fault in faults:
        print(f"  {fault}, {fault.lasts:.1f} s")
    report = Report(stage)
    people = People(stage, rng, users)
    course = Course(stage, people, report.say)
    try:
        await stage.start()
        report.begin()
        await course.go(faults, seconds)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _already_ending)
        await stage.stop()
    course.violations["stopped"] += [Violation(problem) for problem in stage.problems]
    return report.verdicts(course, people)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="nox -s chaos --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {kind.__name__: kind for kind in (*FAULTS, StudioAdded, StudioRemoved)}
    parser.add_argument("--minutes", type=float, default=2.0, help="how long faults come (default: 2)")
    parser.add_argument("--seed", type=int, help="repeat the run with this seed (default: a new one)")
    parser.add_argument(
        "--users", type=int, default=USERS, help=f"how many users there are (default: {USERS})"
    )
    parser.add_argument("--only", choices=sorted(names), metavar="FAULT", help="only this kind of fault")
    parser.add_argument("--list", action="store_true", help="print all kinds of faults")
    options = parser.parse_args(arguments)
    if options.list:
        for name, kind in names.items():
            costs = [cost for cost in ("ends", "late", "refused") if getattr(kind, cost)]
            print(
                f"{name:<18} {(kind.__doc__ or '').splitlines()[0]} May cost: {', '.join(costs) or 'nothing'}."
            )
        return 0
    if options.minutes <= 0:
        parser.error("--minutes must be more than 0")
    if options.users < HASTY:
        parser.error(f"--users must be at least {HASTY}")
    seed = random.SystemRandom().randrange(10_000) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    held = False
    try:
        held = asyncio.run(perform(folder, seed, 60 * options.minutes, options.users, options.only))
    except (StageError, TargetError, aiohttp.ClientError, TimeoutError) as error:
        print(f"the run could not go on: {error!r}", file=sys.stderr)
    except asyncio.CancelledError:
        print("interrupted; everything was ended", file=sys.stderr)
        shutil.rmtree(folder)
        return 130
    if held:
        shutil.rmtree(folder)
    else:
        only = f" --only {options.only}" if options.only else ""
        users = f" --users {options.users}" if options.users != USERS else ""
        print(f"repeat: nox -s chaos -- --seed {seed} --minutes {options.minutes:g}{users}{only}")
        print(f"journals and logs: {folder}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
