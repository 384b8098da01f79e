"""The command of the peers benchmark."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.benchmark.cases import Settings, Task, tasks
from loadtests.benchmark.document import Keeper, document
from loadtests.benchmark.earlier import gone_on_with, not_done, refuse_to_lose
from loadtests.benchmark.measuring import measure, running_bench
from loadtests.benchmark.noise import noise
from loadtests.benchmark.options import parser
from loadtests.benchmark.progress import Progress, duration
from loadtests.benchmark.room import room
from loadtests.benchmark.rows import Record
from loadtests.benchmark.summary import summary
from loadtests.benchmark.tables import tables
from loadtests.benchmark.targets import verdicts
from loadtests.common.errors import LoadTestError, UsageError
from loadtests.common.machine import Cores, describe, raise_open_files
from loadtests.interrupted import EXIT_INTERRUPTED
from loadtests.peers.peer import Peer
from loadtests.report import bench as page

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    reader = parser()
    options = reader.parse_args(arguments)
    if options.resume and options.json is None:
        reader.error("--resume needs the --json file that it goes on with")
    if options.json is not None and options.json == options.html:
        reader.error("--json and --html need a file each")
    if sys.platform != "linux":
        return _complain("only Linux can pin processes to cores and tell their CPU time exactly")
    peers = tuple(peer for peer in options.peers if not peer.missing())
    skipped = {peer.name: missing for peer in options.peers if (missing := peer.missing())}
    for name, how in skipped.items():
        _say(f"skipped {name}, which is not installed: {how}")
    if not peers:
        return _complain("none of these peers is installed")
    keeper = Keeper(options.json)
    try:
        record = Record(
            started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            machine=describe(),
            cores=Cores.share_out(),
            peers={peer.name: peer.about for peer in peers},
            versions={peer.name: version for peer in peers if (version := peer.version())},
            skipped=skipped,
            commands=[shlex.join(["bench.py", *(sys.argv[1:] if arguments is None else arguments)])],
        )
        return _done(options, peers, record, keeper)
    except LoadTestError as error:
        words = "\n".join([str(error), *getattr(error, "__notes__", [])])
        return _complain(words, EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        kept = f"; {keeper}" if str(keeper) else ""
        return _complain(f"interrupted; every process it started has ended{kept}", EXIT_INTERRUPTED)


def _done(options: argparse.Namespace, peers: tuple[Peer, ...], record: Record, keeper: Keeper) -> int:
    """Do what was asked for; return the exit code.

    Raises:
        LoadTestError: it cannot be done.
    """
    if options.resume:
        record = gone_on_with(options.json, record)
    elif options.json is not None and not options.overwrite:
        refuse_to_lose(options.json)
    left = not_done(tasks(_settings(options, peers)), record)
    if options.dry_run:
        _print("\n".join(_planned(left)))
    _say(f"{record.cores}\n{len(left)} measurements, about {duration(sum(task.seconds() for task in left))}")
    if options.dry_run:
        return 0
    if left:
        asyncio.run(_run(left, record, keeper))
    unwritten = [keeper.problem, "" if options.html is None else _drawn(record, options.html)]
    code = _show(record, strict=options.strict)
    for problem in filter(None, unwritten):
        code = _complain(problem, EXIT_FAILED)
    return code


def _settings(options: argparse.Namespace, peers: tuple[Peer, ...]) -> Settings:
    return Settings(
        peers=peers,
        measure=options.measure,
        connections=tuple(dict.fromkeys(options.connections)),
        sizes=tuple(dict.fromkeys(options.sizes)),
        rates=tuple(dict.fromkeys(options.rates)),
        connects=options.connects,
        hold=options.hold,
        seconds=options.seconds,
        rounds=options.rounds,
    )


def _planned(left: Sequence[Task]) -> list[str]:
    """Return a line for each measurement, with in how many rounds it is done."""
    rounds = Counter((task.what, task.peer.name) for task in left)
    return [
        f"{what}, {peer} (× {count} {'round' if count == 1 else 'rounds'})"  # noqa: RUF001 - the sign is meant
        for (what, peer), count in rounds.items()
    ]


async def _run(left: Sequence[Task], record: Record, keeper: Keeper) -> None:
    """Do all that is left, and go on with the next one where one has no result."""
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - a coroutine that runs is a task's
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    raise_open_files(max(task.case.connections for task in left))
    progress = Progress(left)
    progress.say("starting the echo backend, and Auth with a user for each connection")
    async with running_bench(left, record.cores) as bench:
        progress.say("both are running")
        for task in left:
            progress.begins(task)
            try:
                record.rows.append(await measure(bench, task))
            except LoadTestError as error:
                problem = "\n".join([f"{task}: {error}", *getattr(error, "__notes__", [])])
                record.problems.append(problem)
                progress.say(f"FAILED {problem}")
            keeper.keep(record)
            progress.done()


def _show(record: Record, *, strict: bool) -> int:
    """Print what was measured and what follows from it; return the exit code."""
    machine = ", ".join(f"{name} {value}" for name, value in record.machine.items())
    outcome = verdicts(record)
    parts = [
        f"{machine}; {record.cores}; medians (least…most)",
        tables(record),
        summary(record),
        "\n".join([*room(record), *noise(record)]),
        "\n".join(["TARGETS", *map(str, outcome)]) if outcome else "",
        "\n\n".join(f"FAILED {problem}" for problem in record.problems),
    ]
    _print("\n\n".join(part for part in parts if part))
    missed = strict and not all(
        verdict.held for verdict in outcome
    )  # what was not judged has not held either
    return EXIT_FAILED if record.problems or missed else 0


def _drawn(record: Record, file: Path) -> str:
    """Write the page; return why it cannot be written, or ""."""
    try:
        page.write(document(record), file)
    except OSError as error:
        return f"{file} cannot be written: {error.strerror} (--html)"
    return ""


def _print(text: str) -> None:
    """Print a result; who reads it may have read enough before its end (`| head`)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer is written at exit, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _complain(words: str, exit_code: int = EXIT_USAGE) -> int:
    _say(f"bench.py: {words}")
    return exit_code
