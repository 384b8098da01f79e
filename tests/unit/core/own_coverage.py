"""Read a coverage data file, and fail unless each module of core/ is fully covered by its own test file."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[3]
CORE = ROOT / "packages/gateway/src/memmie_gateway/core"


def main(data_file: str) -> int:
    """Print the report of every module that is not covered; return the exit code.

    All modules are read in one process, because a process of `coverage report` for each takes most of its time to start.
    """
    coverage = Coverage(data_file, config_file=str(ROOT / "pyproject.toml"))
    coverage.load()
    failed = 0
    for module in sorted(CORE.rglob("[!_]*.py")):
        # Only what the module's own tests have run counts for it, and what its import has (which is in no test).
        own = module.relative_to(CORE).with_name(f"test_{module.name}")
        contexts = ["^$", f"^{re.escape(str(own))}$"]
        report = io.StringIO()
        percent = coverage.report(include=[str(module)], contexts=contexts, show_missing=True, file=report)
        if percent < 100:
            failed += 1
            sys.stdout.write(f"{module.name} is not covered by {own} alone:\n{report.getvalue()}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
