"""What `memmie conformance` prints during a run, and at its end."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TextIO

from memmie_harness.conformance import reports
from memmie_harness.conformance.model import Outcome, Report, Result
from memmie_harness.conformance.output import say
from memmie_harness.conformance.profile import Profile

_WIDTH = 110
"""How long a line may be."""


class Progress:
    """Prints what failed, and on a terminal how far the run is.

    Args:
        total: the number of tests.
        stream: where to print.
    """

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._done = 0
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._problems: set[str] = set()

    def add(self, result: Result) -> None:
        """Note a result."""
        self._done += 1
        self.clear()
        if result.outcome is Outcome.FAILED:
            say(reports.explain(result), self._stream)
        elif result.outcome is Outcome.ERROR and result.evidence.seen not in self._problems:
            # A gateway that does not start is the same problem for every test.
            self._problems.add(result.evidence.seen)
            say(reports.explain(result), self._stream)
        if self._is_terminal:
            self._stream.write(f"[{self._done}/{self._total}] {result.test.id}")
            self._stream.flush()

    def clear(self) -> None:
        """Remove the line of the progress."""
        if self._is_terminal:
            self._stream.write("\r\x1b[2K")


def summary(report: Report, seconds: float) -> str:
    """Return the results as a table: a line for each group, and the sum."""
    groups: dict[str, Counter[Outcome]] = {}
    for result in report.results:
        groups.setdefault(result.test.group, Counter())[result.outcome] += 1
    columns = list(Outcome)
    lines = [f"{report.target:<14}" + "".join(f"{outcome:>13}" for outcome in columns)]
    for group, counts in groups.items():
        lines.append(f"{group:<14}" + "".join(f"{counts[outcome] or '':>13}" for outcome in columns))
    lines.append(f"{'all':<14}" + "".join(f"{report.count(outcome):>13}" for outcome in columns))
    number = len(report.results)
    lines.append(f"{number} test{'s' if number != 1 else ''} in {seconds:.1f} s")
    return "\n".join(lines)


def not_offered(profile: Profile, report: Report) -> list[str]:
    """Return what to print about tests that did not run: the offers that the profile lacks, and whether any test ran."""
    left_out = [result for result in report.results if result.outcome is Outcome.NOT_OFFERED]
    needs = Counter(need for result in left_out for need in result.test.needs)
    lacking = sorted((-count, need) for need, count in needs.items() if not profile.main.offers_all([need]))
    lines = []
    if lacking:
        offers = ", ".join(f"{need} ({-count})" for count, need in lacking)
        text = f"the profile lacks these offers (so many tests need each): {offers}"
        lines.append(textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False))
    if not report.ran:
        lines.append(f"no test ran against {report.target}")
    return lines
