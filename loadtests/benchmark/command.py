"""The command of the peers benchmark."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from loadtests.analysis.cells import cells
from loadtests.analysis.measurements import Record
from loadtests.analysis.remarks import headroom, noise
from loadtests.analysis.store import write
from loadtests.analysis.targets import verdicts
from loadtests.benchmark.measuring import measure, running_bench
from loadtests.benchmark.options import make_parser
from loadtests.benchmark.plan import Progress, Task, duration, ensure_not_overwritten, not_done, resume, tasks
from loadtests.benchmark.tables import summary, tables
from loadtests.common.errors import LoadTestError, UsageError
from loadtests.common.machine import Cores, describe, raise_open_files
from loadtests.common.supervisor import end_children
from loadtests.interrupted import EXIT_INTERRUPTED
from loadtests.peers.peer import PEERS, Peer

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.resume and options.json is None:
        parser.error("--resume needs the --json file to continue")
    if options.json is not None and options.json == options.html:
        parser.error("--json and --html need a file each")
    if sys.platform != "linux":
        return _complain("only Linux can pin processes to cores and tell their CPU time exactly")
    asked = [PEERS[name] for name in options.peers]
    skipped = {peer.name: missing for peer in asked if (missing := peer.missing())}
    for name, how in skipped.items():
        _say(f"skipped {name}, which is not installed: {how}")
    peers = tuple(peer for peer in asked if peer.name not in skipped)
    if not peers:
        return _complain("none of these peers is installed")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        record = Record(
            started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            machine=describe(),
            cores=Cores.share_out(),
            peers={peer.name: peer.about for peer in peers},
            versions={peer.name: version for peer in peers if (version := peer.installed_version())},
            skipped=skipped,
            commands=[shlex.join(["bench.py", *(sys.argv[1:] if arguments is None else arguments)])],
        )
        return _done(options, peers, record)
    except LoadTestError as error:
        return _complain(_quoted(error), EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED)
    except KeyboardInterrupt:
        end_children()
        kept = ""
        if options.json is not None and options.json.exists():
            kept = f"; {options.json} has what was measured, --resume continues it"
        return _complain(f"interrupted; every process it started has ended{kept}", EXIT_INTERRUPTED)


def _done(options: argparse.Namespace, peers: tuple[Peer, ...], record: Record) -> int:
    """Do what was asked for; return the exit code. A LoadTestError says why it cannot be done."""
    if options.resume:
        record = resume(options.json, record)
    elif options.json is not None and not options.overwrite:
        ensure_not_overwritten(options.json)
    left = not_done(tasks(options, peers), record)
    if options.dry_run:
        _print("\n".join(_planned(left)))
    _say(f"{record.cores}\n{len(left)} measurements, about {duration(sum(task.seconds() for task in left))}")
    if options.dry_run:
        return 0
    unwritten = [_run(left, record, options.json) if left else ""]
    if options.html is not None:
        from loadtests.report import bench as page  # noqa: PLC0415 - templates and charts take a while to import

        unwritten.append(_written(options.html, "--html", page.write, record))
    code = _show(record, strict=options.strict)
    for problem in filter(None, unwritten):
        code = _complain(problem, EXIT_FAILED)
    return code


def _planned(left: Sequence[Task]) -> list[str]:
    """Return a line for each measurement, with the number of its rounds."""
    rounds = Counter((task.what, task.peer.name) for task in left)
    return [
        f"{what}, {peer} (× {count} {'round' if count == 1 else 'rounds'})"  # noqa: RUF001 - a multiplication sign
        for (what, peer), count in rounds.items()
    ]


def _run(left: Sequence[Task], record: Record, file: Path | None) -> str:
    """Do all that is left, whether or not each has a result; return why the file lacks the last results, or ""."""
    raise_open_files(max(task.case.connections for task in left))
    progress = Progress(left)
    progress.say("starting the echo backend, and Auth with a user for each connection")
    unwritten = ""
    with running_bench(left, record.cores) as bench:
        progress.say("both are running")
        for task in left:
            progress.begins(task)
            try:
                record.rows.append(measure(bench, task))
            except LoadTestError as error:
                record.problems.append(f"{task}: {_quoted(error)}")
                progress.say(f"FAILED {record.problems[-1]}")
            if file is not None:  # a full disk is no reason to stop measuring
                unwritten = _written(file, "--json", write, record)
            progress.done()
    return unwritten


def _show(record: Record, *, strict: bool) -> int:
    """Print what was measured and what follows from it; return the exit code."""
    machine = ", ".join(f"{name} {value}" for name, value in record.machine.items())
    found = cells(record)
    outcome = verdicts(found)
    parts = [
        f"{machine}; {record.cores}; medians (least…most)",
        tables(found),
        summary(found),
        "\n".join([*headroom(record), *noise(record)]),
        "\n".join(["TARGETS", *map(str, outcome)]) if outcome else "",
        "\n\n".join(f"FAILED {problem}" for problem in record.problems),
    ]
    _print("\n\n".join(part for part in parts if part))
    # A target that was not judged does not hold.
    missed = strict and not all(verdict.held for verdict in outcome)
    return EXIT_FAILED if record.problems or missed else 0


def _written(file: Path, option: str, write: Callable[[Record, Path], None], record: Record) -> str:
    """Write a file; return why it cannot be written, or ""."""
    try:
        write(record, file)
    except OSError as error:
        return f"{file} cannot be written: {error.strerror} ({option})"
    return ""


def _print(text: str) -> None:
    """Print a result; the reader may stop before its end (`| head`)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer is written at exit, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _quoted(error: LoadTestError) -> str:
    """Return an error with its notes: the last lines of the processes that were running."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _complain(words: str, exit_code: int = EXIT_USAGE) -> int:
    _say(f"bench.py: {words}")
    return exit_code
