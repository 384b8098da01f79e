"""The command line of the peers benchmark."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from loadtests.analysis.measurements import MEASUREMENTS
from loadtests.analysis.targets import TARGETS
from loadtests.common.options import MOST_CONNECTIONS, seconds, whole
from loadtests.peers.catalogue import PEERS
from loadtests.traffic.connection import NUMBER
from loadtests.traffic.echo import MAX_FRAME_BYTES

_DESCRIPTION: Final = """\
What does a gateway cost? Each peer forwards the same messages, from the same compiled client to the same
echo backend, on a core of its own. What is counted is the CPU its processes used, which depends least on how
busy the machine is otherwise. Peers take turns (A B C A B C ...), a fresh process each time."""

_EPILOG: Final = """\
measurements:
{measurements}

peers:
{peers}

examples:
  python loadtests/bench.py --dry-run                    what would be done, and how long it would take
  python loadtests/bench.py --json bench.json --html bench.html
                                                         the full table, every number, and charts
  python loadtests/bench.py --peers direct,gateway,websockets --measure round-trips --connections 50 --rounds 1
                                                         a first look
  python loadtests/bench.py --measure latency --json bench.json --resume
                                                         measure what bench.json does not have yet

Exit code 0: everything was measured. 1: a connection failed or a message was lost, and the tables show the
rest; or, with --strict, a target was missed or not judged. 2: the options cannot be used; nothing was measured.
130: interrupted (Ctrl-C, SIGTERM); every process it started has ended."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(
            measurements=_listed({name: measurement.title for name, measurement in MEASUREMENTS.items()}),
            peers=_listed({name: peer.about for name, peer in PEERS.items()}),
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    # fmt: off
    add("--peers", type=_some_of(PEERS), default=",".join(PEERS), metavar="A,B",
        help="the peers to measure, in this order; those that are not installed are skipped and listed (default: all)")
    add("--measure", type=_some_of(MEASUREMENTS), default=",".join(MEASUREMENTS), metavar="A,B",
        help="what to measure (default: %(default)s)")
    add("--connections", type=whole(1, MOST_CONNECTIONS), nargs="+", default=[50, 1000], metavar="N",
        help="connections at once for round trips, each number a case of its own; memory takes the greatest (default: 50 1000)")
    add("--sizes", type=whole(NUMBER.size, MAX_FRAME_BYTES), nargs="+", default=[128, 16384], metavar="BYTES",
        help="of a message, for round trips; the other measurements take the first (default: 128 16384)")
    add("--rates", type=_rate, nargs="+", default=[(1000, 1.0), (100, 50.0)], metavar="NxR",
        help="for latency: N connections, R messages a second of each (default: 1000x1 100x50)")
    add("--connects", type=whole(3, MOST_CONNECTIONS), default=500, metavar="N",
        help="how many users connect and close again (default: %(default)s)")
    add("--hold", type=whole(1, MOST_CONNECTIONS), default=5000, metavar="N",
        help="how many connections to hold at once, by ours alone if it is among the peers (default: %(default)s)")
    add("--seconds", type=seconds, default=1.0,
        help="length of a window, after a short warm-up; three times that for latency (default: %(default)g)")
    add("--rounds", type=whole(1, 1000), default=3, metavar="N",
        help="how often everything is repeated; connections are held in the first round only (default: %(default)s)")
    add("--dry-run", action="store_true", help="print what would be done and how long it would take")
    add("--json", type=_new_file, metavar="FILE", help="every number of every round, written after each measurement")
    add("--html", type=_new_file, metavar="FILE", help="a page with charts, which needs no network")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true",
        help="continue the run in the --json file: measure only what it does not have, and show all of it")
    existing.add_argument("--overwrite", action="store_true", help="start again, and lose what the --json file has")
    add("--strict", action="store_true",
        help=f"exit with 1 if a target was missed, or not judged for want of rounds ({TARGETS.name})")
    # fmt: on
    return parser


def _listed(about: Mapping[str, str]) -> str:
    width = max(map(len, about))
    return "\n".join(f"  {name:{width}}  {words}" for name, words in about.items())


def _rate(text: str) -> tuple[int, float]:
    connections, _, rate = text.partition("x")
    try:
        found = int(connections), float(rate)
    except ValueError:
        found = 0, 0.0
    if not (1 <= found[0] <= MOST_CONNECTIONS and 0.1 <= found[1] <= 10_000):
        raise argparse.ArgumentTypeError(
            f"{text!r} given, connections x messages a second of each needed, such as 1000x1"
        )
    return found


def _some_of(allowed: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of names with commas between them."""

    def read(text: str) -> list[str]:
        names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} given, {', '.join(allowed)} allowed")
        if not names:
            raise argparse.ArgumentTypeError(f"none given, one or more of {', '.join(allowed)} needed")
        return names

    return read


def _new_file(text: str) -> Path:
    path = Path(text)
    if (path.exists() and not path.is_file()) or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} given, a file in a folder that exists needed")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} given, where nothing can be written: {error.strerror}"
        ) from None
