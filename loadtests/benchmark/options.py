"""The command line of the peers benchmark: what it says is in `options.toml`, here is how its values are read."""

from __future__ import annotations

import argparse
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from loadtests.analysis.measurements import MEASUREMENTS
from loadtests.common.options import MOST_CONNECTIONS, seconds, whole
from loadtests.peers.peer import PEERS
from loadtests.traffic.connection import NUMBER
from loadtests.traffic.echo import MAX_FRAME_BYTES


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    types: dict[str, Callable[[str], object]] = {
        "--peers": _some_of(PEERS),
        "--measure": _some_of(MEASUREMENTS),
        "--connections": whole(1, MOST_CONNECTIONS),
        "--sizes": whole(NUMBER.size, MAX_FRAME_BYTES),
        "--rates": _rate,
        "--connects": whole(3, MOST_CONNECTIONS),
        "--hold": whole(1, MOST_CONNECTIONS),
        "--seconds": seconds,
        "--rounds": whole(1, 1000),
        "--json": _new_file,
        "--html": _new_file,
    }
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
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
            f"{text!r} given, connections x messages a second of each needed, such as 1000x1"
        )
    return found


def _some_of(allowed: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of names with commas between them."""

    def read(text: str) -> list[str]:
        names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        for name in names or [""]:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} given, {', '.join(allowed)} allowed")
        return names

    return read


def _new_file(text: str) -> Path:
    path = Path(text)
    is_free = not path.exists() or (path.is_file() and not path.stat().st_size)
    if not is_free or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} given, a new file in a folder that exists needed")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        words = f"{text!r} given, where nothing can be written: {error.strerror}"
        raise argparse.ArgumentTypeError(words) from None
