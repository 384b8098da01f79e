"""Fuzz with coverage as the guide: `nox -s fuzz -- --minutes 30`, all targets at the same time.

It begins with the corpus in the repository, and keeps new inputs that reach new code in a folder of its own. An input on
which a target fails is kept there too, and its path is printed. Add it to the corpus, so that every day's tests have it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(REPOSITORY))

NAMES = sorted(path.name for path in (HERE / "corpus").iterdir())


def main() -> int:
    """Fuzz every target in a process of its own; return 1 if one of them has failed, otherwise 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5, help="how long each target is fuzzed (default 5)")
    parser.add_argument("--target", choices=NAMES, action="append", help="only this target; may be repeated")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.one:
        fuzz(options.one, rest)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    processes = [start(name, folder, round(60 * options.minutes)) for name in options.target or NAMES]
    for process in processes:
        process.wait()
    for name, process in zip(options.target or NAMES, processes, strict=True):
        failed = sorted((folder / name).glob("failed-*"))
        runs = (folder / f"{name}.log").read_text(errors="replace").splitlines()
        print(
            f"{name}: {'FAILED' if process.returncode else 'ok'}; {next((x for x in runs[::-1] if ' runs in ' in x), '')}"
        )
        for path in failed:
            print(f"  {path}")
        if process.returncode:
            print("\n".join(runs[-30:]))
    print(f"new inputs and logs: {folder}")
    return int(any(process.returncode for process in processes))


def start(name: str, folder: Path, seconds: int) -> subprocess.Popen[bytes]:
    """Start the fuzzer of one target."""
    (folder / name).mkdir()
    arguments = [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-timeout=20",
        f"-artifact_prefix={folder / name}/failed-",
        str(folder / name),
        str(HERE / "corpus" / name),
    ]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - this script
            [sys.executable, __file__, "--one", name, *arguments], stdout=log, stderr=log
        )


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz one target until the time is over, or an input fails."""
    import atheris  # noqa: PLC0415 - only where it is installed

    with atheris.instrument_imports(include=["memmie_gateway"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented

    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
