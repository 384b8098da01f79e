"""The command of the peers benchmark: it reads the options, measures, writes the files, and prints the tables."""

from __future__ import annotations

import argparse
import copy
import datetime as dt
import shlex
import signal
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.analysis.conclusions import document, headroom, noise, verdicts
from loadtests.analysis.measurements import MEASUREMENTS, Cell, Record, cells, grouped
from loadtests.benchmark.measuring import duration, measure_all, quoted, say, tasks
from loadtests.common.errors import LoadTestError, UsageError
from loadtests.common.files import discard_output, write_whole
from loadtests.common.machine import Cores, describe
from loadtests.common.options import MOST_CONNECTIONS, seconds, whole
from loadtests.common.supervisor import end_children
from loadtests.interrupted import EXIT_INTERRUPTED
from loadtests.peers.peer import OURS, PEERS
from loadtests.report import bench
from loadtests.traffic.connection import NUMBER
from loadtests.traffic.echo import MAX_FRAME_BYTES

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
WIDTH: Final = 120  # of lines of text
OPTIONS: Final = tomllib.loads(Path(__file__).with_name("options.toml").read_text())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.quick:  # other defaults; what the command line says counts all the same
        parser.set_defaults(**OPTIONS["quick"])
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
    if not todo:
        names = ", ".join(peer.name for peer in peers)
        raise UsageError(f"nothing to measure: {', '.join(options.measure)} is not for {names} (see --help)")
    if options.keep_awake and "latency" not in options.measure:
        raise UsageError("--keep-awake is only for latency, which --measure leaves out")
    record = Record(
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        machine=describe(),
        cores=Cores.share_out(),
        peers={peer.name: peer.about for peer in peers},
        versions={peer.name: version for peer in peers if (version := peer.installed_version())},
        skipped=skipped,
        commands=[command],
        kept_awake=options.keep_awake,
    )
    if options.dry_run:
        _print("\n".join(map(str, todo)))
    say(f"{record.cores}\n{len(todo)} measurements, about {duration(todo)}")
    if options.dry_run:
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
    awake = "; cores are kept awake while latency is measured" if record.kept_awake else ""
    parts = [
        f"{machine}; {record.cores}{awake}",
        *_tables(found),
        "\n".join([*headroom(record), *noise(record)]),
        "\n".join(["TARGETS", *map(str, outcome)]) if outcome else "",
        *(f"FAILED {problem}" for problem in record.problems),
    ]
    _print("\n\n".join(filter(None, parts)))
    # A target that was not judged does not hold.
    missed = strict and not all(verdict.held for verdict in outcome)
    return EXIT_FAILED if record.problems or missed else 0


def _tables(found: Sequence[Cell]) -> Iterator[str]:
    """Return a table for each measurement: a line for each figure of each peer in each case."""
    for name, of_it in grouped(found, lambda cell: cell.case.measurement).items():
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
        discard_output()


def _complain(words: str, exit_code: int = EXIT_USAGE) -> int:
    say(f"bench.py: {words}")
    return exit_code


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, which `options.toml` describes."""
    types: dict[str, Callable[[str], object]] = {
        "--peers": _some_of(PEERS),
        "--measure": _some_of(MEASUREMENTS),
        "--connections": whole(1, MOST_CONNECTIONS),
        "--sizes": whole(NUMBER.size, MAX_FRAME_BYTES),
        "--rates": _rate,
        "--connects": whole(3, MOST_CONNECTIONS),
        "--hold": whole(1, MOST_CONNECTIONS),
        "--storm": whole(1, MOST_CONNECTIONS),
        "--seconds": seconds,
        "--rounds": whole(1, 1000),
        "--json": _new_file,
        "--html": _new_file,
    }
    table = copy.deepcopy(OPTIONS)
    about = {
        "measurements": _listed({name: measurement.title for name, measurement in MEASUREMENTS.items()}),
        "peers": _listed({name: peer.about for name, peer in PEERS.items()}),
    }
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description=table["description"],
        epilog=table["epilog"].format(**about),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, option in table["options"].items():
        if flag in types:
            option["type"] = types[flag]
        if "nargs" in option:  # argparse reads a default only if it is one text
            option["default"] = [types[flag](text) for text in option["default"]]
        parser.add_argument(flag, **option)
    parser.set_defaults(peers=",".join(PEERS), measure=",".join(MEASUREMENTS))
    return parser


def _listed(about: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:{max(map(len, about))}}  {words}" for name, words in about.items())


def _rate(text: str) -> tuple[int, float]:
    connections, _, rate = text.partition("x")
    try:
        found = int(connections), float(rate)
    except ValueError:
        found = 0, 0.0
    if not (1 <= found[0] <= MOST_CONNECTIONS and 0.1 <= found[1] <= 10_000):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a pair of numbers such as 1000x1: connections, and messages per second of each"
        )
    return found


def _some_of(allowed: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of names with commas between them."""

    def read(text: str) -> list[str]:
        names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        for name in names or [""]:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(allowed)}")
        return names

    return read


def _new_file(text: str) -> Path:
    path = Path(text)
    is_free = not path.exists() or (path.is_file() and not path.stat().st_size)
    if not is_free or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} must be a new file in a folder that exists")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        words = f"{text!r} is in a folder in which nothing can be written: {error.strerror}"
        raise argparse.ArgumentTypeError(words) from None
