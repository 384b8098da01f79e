"""The command of the peers benchmark: it measures, writes the files, and prints the tables."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shlex
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from loadtests.analysis.conclusions import document, headroom, noise, verdicts
from loadtests.analysis.measurements import MEASUREMENTS, Cell, Record, cells, grouped
from loadtests.benchmark.measuring import duration, measure_all, quoted, say, tasks
from loadtests.benchmark.options import make_parser
from loadtests.common.errors import LoadTestError, UsageError
from loadtests.common.files import write_whole
from loadtests.common.machine import Cores, describe
from loadtests.common.supervisor import end_children
from loadtests.interrupted import EXIT_INTERRUPTED
from loadtests.peers.peer import OURS, PEERS
from loadtests.report import bench

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
WIDTH: Final = 120  # of lines of text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.json is not None and options.json == options.html:
        parser.error("--json and --html need a file each")
    if sys.platform != "linux":
        return _complain("only Linux can pin processes to cores and tell their CPU time exactly")
    command = shlex.join(["bench.py", *(sys.argv[1:] if arguments is None else arguments)])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(options, command)
    except LoadTestError as error:
        return _complain(quoted(error), EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED)
    except KeyboardInterrupt:
        end_children()
        kept = f"; {options.json} has what was measured" if options.json and options.json.exists() else ""
        return _complain(f"interrupted; every process it started has ended{kept}", EXIT_INTERRUPTED)


def _run(options: argparse.Namespace, command: str) -> int:
    """Do what was asked for; return the exit code. A LoadTestError says why it cannot be done."""
    asked = [PEERS[name] for name in options.peers]
    skipped = {peer.name: missing for peer in asked if (missing := peer.missing())}
    for name, how in skipped.items():
        say(f"skipped {name}, which is not installed: {how}")
    peers = [peer for peer in asked if peer.name not in skipped]
    if not peers:
        raise UsageError("none of these peers is installed")
    todo = tasks(options, peers)
    record = Record(
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        machine=describe(),
        cores=Cores.share_out(),
        peers={peer.name: peer.about for peer in peers},
        versions={peer.name: version for peer in peers if (version := peer.installed_version())},
        skipped=skipped,
        commands=[command],
    )
    if options.dry_run:
        _print("\n".join(map(str, todo)))
    say(f"{record.cores}\n{len(todo)} measurements, about {duration(todo)}")
    if options.dry_run or not todo:
        return 0
    measure_all(todo, record, options.json)
    code = _show(record, strict=options.strict)
    for option, file, text in (("--json", options.json, document), ("--html", options.html, bench.page)):
        try:
            if file is not None:
                write_whole(file, text(record))
        except OSError as error:
            code = _complain(f"{file} cannot be written: {error.strerror} ({option})", EXIT_FAILED)
    return code


def _show(record: Record, *, strict: bool) -> int:
    """Print what was measured and what follows from it; return the exit code."""
    machine = ", ".join(f"{name} {value}" for name, value in record.machine.items())
    found = cells(record)
    outcome = verdicts(found)
    parts = [
        f"{machine}; {record.cores}",
        *_tables(found),
        "\n".join([*headroom(record), *noise(record)]),
        "\n".join(["TARGETS", *map(str, outcome)]) if outcome else "",
        *(f"FAILED {problem}" for problem in record.problems),
    ]
    _print("\n\n".join(filter(None, parts)))
    # A target that was not judged does not hold.
    missed = strict and not all(verdict.held for verdict in outcome)
    return EXIT_FAILED if record.problems or missed else 0


def _tables(cells: Sequence[Cell]) -> Iterator[str]:
    """Return a table for each measurement: a line for each figure of each peer in each case."""
    for name, of_it in grouped(cells, lambda cell: cell.case.measurement).items():
        measurement = MEASUREMENTS[name]
        yield "\n".join([measurement.title.upper(), *textwrap.wrap(measurement.about, WIDTH)])
        lines = [("figure", "connections", "peer", "median (least…most)", f"{OURS} ÷ peer")]
        for cell in sorted(of_it, key=lambda cell: measurement.figures.index(cell.figure)):
            value = cell.median if cell.figure.brief else cell.shown
            ratio = cell.ratio.shown(2) if cell.ratio else ""
            lines.append((cell.figure.heading, str(cell.case), cell.called, value, ratio))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        yield "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _print(text: str) -> None:
    """Print a result; the reader may stop before its end (`| head`)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer is written at exit, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(words: str, exit_code: int = EXIT_USAGE) -> int:
    say(f"bench.py: {words}")
    return exit_code
