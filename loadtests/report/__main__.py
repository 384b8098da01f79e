"""Draw a page again: `python -m loadtests.report FILE.json`, the run.json of a scenario or the JSON of the benchmark."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtests.libraries import EXIT_USAGE, demand

demand("report", "jinja2", "plotly", "psutil")

from loadtests.analysis.measurements import Record  # noqa: E402 - needs them
from loadtests.common.files import parsed, write_whole  # noqa: E402 - needs them
from loadtests.common.run import Run  # noqa: E402 - needs them
from loadtests.report import bench, run  # noqa: E402 - needs them

_ABOUT = (
    "Draw the results of a load scenario or the peers benchmark as one HTML page, which needs no network."
)
_FILE = "a scenario's run.json, or the --json file of bench.py"
_OUT = "where to (default: beside FILE, ending in .html)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.report", description=_ABOUT)
    parser.add_argument("file", type=Path, metavar="FILE", help=_FILE)
    parser.add_argument("--out", type=Path, metavar="PAGE", help=_OUT)
    options = parser.parse_args(arguments)
    out = options.out or options.file.with_suffix(".html")
    try:
        text = options.file.read_text()
        is_run = '"scenario"' in text
        page = run.page(parsed(Run, text)) if is_run else bench.page(parsed(Record, text))
    except OSError as error:
        return _complain(f"{options.file} cannot be read: {error.strerror}")
    except ValueError as error:
        return _complain(f"{options.file} is neither a run.json nor a JSON of the peers benchmark: {error}")
    try:
        write_whole(out, page)
    except OSError as error:
        return _complain(f"{out} cannot be written: {error.strerror} (--out)")
    print(out)
    return 0


def _complain(words: str) -> int:
    print(f"report: {words}", file=sys.stderr)
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
