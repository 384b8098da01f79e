"""The command line of the peers benchmark."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.benchmark.machine import Cores, raise_open_files
from loadtests.benchmark.measuring import CONNECTS, Results, Settings, measure, running_bench
from loadtests.benchmark.problems import BenchError
from loadtests.benchmark.report import as_json, show
from loadtests.peers.catalogue import PEERS
from loadtests.peers.peer import Peer
from loadtests.traffic.connection import NUMBER
from loadtests.traffic.echo import MAX_FRAME_BYTES

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

_DESCRIPTION = """\
What does a gateway cost? Each peer forwards the same messages, from the same compiled client to the same
echo backend, on a core of its own. What is counted is the CPU its process used, which depends least on how
busy the machine is otherwise. Peers take turns (A B C A B C ...), a fresh process each time."""

_EPILOG = """\
peers:
{peers}

examples:
  python loadtests/bench.py                              the full table, about three minutes
  python loadtests/bench.py --connections 50 --seconds 1 --rounds 1
                                                         a first look, half a minute
  python loadtests/bench.py --peers gateway,websockets --rounds 7 --json bench.json
                                                         more rounds: for a noisy machine

Exit code 0: all measured. 1: a connection failed or a message was lost; the tables show what is left.
2: not usable as given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    settings = Settings(
        peers=_installed(options.peers),
        connections=tuple(dict.fromkeys(options.connections)),
        size=options.size,
        seconds=options.seconds,
        rounds=options.rounds,
        connects=options.connects,
    )
    if sys.platform != "linux":
        return _complain("only Linux can pin processes to cores and tell their CPU time exactly")
    if not settings.peers:
        return _complain("none of these peers is installed")
    try:
        raise_open_files(max(settings.connections))
        cores = Cores.share_out()
        _say(str(cores))
        results = asyncio.run(_run(settings, cores))
    except BenchError as error:
        return _complain("\n".join([str(error), *getattr(error, "__notes__", [])]), EXIT_FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _complain("interrupted; every process it started has ended", EXIT_INTERRUPTED)
    print(show(settings, cores, results))
    if options.json is not None:
        try:
            options.json.write_text(json.dumps(as_json(settings, cores, results), indent=2) + "\n")
        except OSError as error:
            return _complain(f"{options.json} cannot be written: {error.strerror} (--json)", EXIT_FAILED)
    return EXIT_FAILED if results.problems else 0


async def _run(settings: Settings, cores: Cores) -> Results:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs is a task's
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with running_bench(settings, cores, _say) as bench:
        return await measure(bench)


def _installed(peers: Sequence[Peer]) -> tuple[Peer, ...]:
    for peer in peers:
        if peer.missing():
            _say(f"skipped {peer.name}, which is not installed: {peer.missing()}")
    return tuple(peer for peer in peers if not peer.missing())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _complain(words: str, exit_code: int = EXIT_USAGE) -> int:
    _say(f"bench.py: {words}")
    return exit_code


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, PEERS))
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(peers="\n".join(f"  {p.name:{width}}  {p.about}" for p in PEERS.values())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--connections",
        type=_whole(1, 20_000),
        nargs="+",
        default=[50, 1000],
        metavar="N",
        help="connections at once, each number a measurement of its own (default: 50 1000)",
    )
    parser.add_argument(
        "--size",
        type=_whole(NUMBER.size, MAX_FRAME_BYTES),
        default=128,
        metavar="BYTES",
        help="bytes of a message (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=5.0,
        help="length of a measured window, after a short warm-up (default: %(default)g)",
    )
    parser.add_argument(
        "--rounds",
        type=_whole(1, 1000),
        default=3,
        metavar="N",
        help="how often all is repeated (default: %(default)s)",
    )
    parser.add_argument(
        "--peers",
        type=_peers,
        default=",".join(PEERS),
        metavar="A,B",
        help="whom to measure, in this order (default: %(default)s)",
    )
    parser.add_argument(
        "--connects",
        type=_whole(0, 20_000),
        default=CONNECTS,
        metavar="N",
        help="connections opened and closed for the cost of connecting; 0 leaves out that and the memory of "
        "idle ones (default: %(default)s)",
    )
    parser.add_argument(
        "--json", type=_new_file, metavar="FILE", help="write every round's numbers there, too"
    )
    return parser


class _whole:  # noqa: N801 - reads as the function it stands for; argparse shows its name in errors
    """A whole number between two bounds."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def __call__(self, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = self._least - 1
        if not self._least <= number <= self._most:
            raise argparse.ArgumentTypeError(
                f"{text!r} given, a whole number from {self._least} to {self._most} allowed"
            )
        return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} given, seconds from 0.1 to 3600 allowed")
    return number


def _peers(text: str) -> tuple[Peer, ...]:
    chosen: list[Peer] = []
    for name in dict.fromkeys(part.strip() for part in text.split(",") if part.strip()):
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name!r} given, {', '.join(PEERS)} allowed")
        chosen.append(PEERS[name])
    if not chosen:
        raise argparse.ArgumentTypeError(f"none given, one or more of {', '.join(PEERS)} needed")
    return tuple(chosen)


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} given, a file in a folder that exists needed")
    return path
