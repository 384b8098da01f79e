"""Every other gateway that is installed fails what its profile knows, and nothing else: `python -m tests.harness.conformance.peers`.

Args:
    --short: run only some groups.
    NAME: run only these profiles.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

from memmie_harness.conformance import known
from memmie_harness.conformance.catalogue import choose
from memmie_harness.conformance.installed import not_installed
from memmie_harness.conformance.model import Outcome
from memmie_harness.conformance.profile_file import load_profile, ready_made
from memmie_harness.conformance.runner import run

OURS: Final = "memmie"

SHORT: Final = ("handshake/", "forwarding/", "closes/")
"""The groups of a short run, which every gateway is asked something of."""


def main(arguments: Sequence[str]) -> int:
    """Run the kit, print what is unexpected, and return the exit code."""
    names = [name for name in arguments if name != "--short"] or [
        name for name in ready_made() if name != OURS
    ]
    tests = choose(SHORT if "--short" in arguments else ())
    found = 0
    for name in names:
        profile = load_profile(name)
        if missing := not_installed(profile):
            _say(missing)
            continue
        started = time.monotonic()
        report = asyncio.run(run(profile, tests))
        unexpected = known.unexpected(profile, report.results)
        unexpected += [
            f"{each.test.id}: {each.evidence.seen}"
            for each in report.results
            if each.outcome is Outcome.ERROR
        ]
        counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in Outcome)
        seconds = time.monotonic() - started
        _say(f"{name}: {counts}, {len(unexpected)} unexpected ({seconds:.0f} s)", *unexpected)
        found += len(unexpected)
    return 1 if found else 0


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
