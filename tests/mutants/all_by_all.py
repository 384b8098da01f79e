"""All tests against all mutants: what fails for each is compared with `table.json`.

python -m tests.mutants.all_by_all [--write] [NAME …]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.mutants import feature_mutants, head_mutants, http_mutants, mutants
from tests.mutants.registry import MUTANTS
from tests.mutants.toy import Toy
from tests.mutants.toy_profile import profile

from memmie_harness.conformance import catalogue
from memmie_harness.conformance.model import Outcome
from memmie_harness.conformance.profile import Setup
from memmie_harness.conformance.runner import run
from memmie_harness.conformance.stack import Stack

TABLE = Path(__file__).parent / "table.json"
"""The ids of all tests that fail for each mutant, by its name."""

DEFINED_IN = (mutants, feature_mutants, head_mutants, http_mutants)
"""The modules that have added the mutants."""

Table = Mapping[str, Sequence[str]]


def read_table(path: Path) -> dict[str, list[str]]:
    """Return a table that was written."""
    table: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return table


def write_table(path: Path, table: Table) -> None:
    """Write a table: mutants in the order of their names, tests in the order of their ids."""
    ordered = {name: sorted(table[name]) for name in sorted(table)}
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


async def failing(launch: Callable[[Setup, Stack], Toy], patience: float) -> list[str]:
    """Return the ids of the tests that fail for a gateway; one that fails once but not twice is not counted."""
    tests = catalogue.all_tests()
    for _ in range(2):
        report = await run(profile(patience), tests, launch=launch)
        tests = [result.test for result in report.results if result.outcome is Outcome.FAILED]
    return sorted(test.id for test in tests)


def compare(seen: Table, expected: Table) -> list[str]:
    """Return the differences of two tables in words; mutants that are not in `seen` are left out."""
    lines = []
    for name, ids in seen.items():
        lines += [f"{name}: {test_id} fails, too" for test_id in ids if test_id not in expected.get(name, ())]
        lines += [
            f"{name}: {test_id} does not fail" for test_id in expected.get(name, ()) if test_id not in ids
        ]
    return lines


def main() -> int:
    """Run the tests, print the score, and compare or write the table."""
    parser = argparse.ArgumentParser(description="All conformance tests against all mutants.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these mutants")
    parser.add_argument(
        "--write", action="store_true", help=f"write {TABLE.name} instead of comparing with it"
    )
    parser.add_argument(
        "--patience", type=float, default=1.0, help="seconds to wait for what should come at once"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - MUTANTS.keys())
    if unknown:
        parser.error(f"no mutant has the name {', '.join(unknown)}")
    seen: dict[str, list[str]] = {}
    missed: list[str] = []
    started = time.monotonic()
    for name, (launch, caught_by) in MUTANTS.items():
        if arguments.names and name not in arguments.names:
            continue
        begun = time.monotonic()
        seen[name] = asyncio.run(failing(launch, arguments.patience))
        escaped = sorted(set(caught_by) - set(seen[name]))
        missed += [name] * bool(escaped)
        words = f", but not {', '.join(escaped)}" if escaped else ""
        print(
            f"{name:40} {len(seen[name]):4} tests fail{words} ({time.monotonic() - begun:.0f} s)", flush=True
        )
    print(
        f"score: {len(seen) - len(missed)} of {len(seen)} mutants are caught by the tests that are there for them"
    )
    print(f"{time.monotonic() - started:.0f} s")
    expected = read_table(TABLE)
    if arguments.write:
        write_table(TABLE, {**expected, **seen})
        return bool(missed)
    differences = compare(seen, expected)
    if differences:
        print("\n".join(["differences from the table:", *differences]), file=sys.stderr)
    return bool(missed or differences)


if __name__ == "__main__":
    sys.exit(main())
