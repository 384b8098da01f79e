"""Draw a page again: `python -m loadtests.report FILE.json`, the run.json of a scenario or the JSON of the benchmark."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.libraries import EXIT_USAGE, demand

demand("report", "plotly", "psutil")

from loadtests.analysis.record import Record  # noqa: E402 - needs them
from loadtests.common.run import Run  # noqa: E402 - needs them
from loadtests.report import bench, run  # noqa: E402 - needs them


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    out = options.out or options.file.with_suffix(".html")
    try:
        document = json.loads(options.file.read_text())
    except OSError as error:
        return _complain(f"{options.file} cannot be read: {error.strerror}")
    except ValueError as error:
        return _complain(f"{options.file} is not JSON: {error}")
    try:
        _draw(document, out)
    except OSError as error:
        return _complain(f"{out} cannot be written: {error.strerror} (--out)")
    except (ValueError, TypeError) as error:
        return _complain(f"{options.file} is neither a run.json nor a JSON of the peers benchmark: {error}")
    print(out)
    return 0


def _draw(document: Any, out: Path) -> None:
    if not isinstance(document, dict):
        raise TypeError("it is not an object")
    if "rows" in document:
        bench.write(Record.from_json(document), out)
    else:
        run.write(Run.from_json(document), out)


def _complain(words: str) -> int:
    print(f"report: {words}", file=sys.stderr)
    return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.report",
        description="Draw the results of a load scenario or the peers benchmark as one HTML page, which needs no network.",
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the run.json of a scenario, or the --json file of bench.py"
    )
    parser.add_argument(
        "--out", type=Path, metavar="PAGE", help="where to (default: beside FILE, ending in .html)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
