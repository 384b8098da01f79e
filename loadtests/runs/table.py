"""A run for people: one line a second while it lasts, a short table at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from loadtests.common.run import Run, Second
from loadtests.common.units import shown

FEW: Final = 100
"""Of fewer samples, one in a hundred is the greatest."""

SPARSELY: Final = 10
"""Where nobody watches, one line in so many seconds."""


class Progress:
    """Tells how a run goes, on standard error: a line that is written over on a terminal, else one now and then."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario
        self._terminal = sys.stderr.isatty()
        self._seconds = 0

    def tell(self, second: Second) -> None:
        """Tell of a second."""
        self._seconds += 1
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{self._line(second)}")
            sys.stderr.flush()
        elif self._seconds % SPARSELY == 0:
            self.say(self._line(second))

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self.clear()
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take away the line that is written over: what follows, also on standard output, begins a line."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _line(self, second: Second) -> str:
        parts = [
            f"{self._scenario} {second.at:.0f} s",
            f"{second.connections} connections",
            f"{second.messages} messages/s",
        ]
        if second.p50 is not None and second.p99 is not None:
            parts.append(f"p50 {shown(second.p50, 's')}, p99 {shown(second.p99, 's')}")
        if second.gateway_cpu is not None and second.gateway_rss is not None:
            parts.append(f"gateway {second.gateway_cpu:.0%}, {shown(second.gateway_rss, 'bytes')}")
        parts.append(f"{second.failures} failures")
        return " · ".join(parts)


def summary(run: Run) -> str:
    """Return what a run has shown, as lines of text."""
    blocks = [
        [f"{run.scenario}: {run.about}"],
        _aligned(
            [["latency", "count", "p50", "p95", "p99", "max"]]
            + [
                [path, f"{of.count:,}", *(shown(value, "s") for value in (of.p50, of.p95, of.p99, of.max))]
                for path, of in run.latencies.items()
            ]
        )
        + _notes(run)
        if run.latencies
        else [],
        _aligned([[figure.name, shown(figure.value, figure.unit)] for figure in run.figures]),
        [f"{failure.name}: {failure.reason} ({failure.count})" for failure in run.failures],
        [f"closed {code}: {count}" for code, count in run.closes.items()],
        [could_not_go_on(run)] if run.stopped else [],
        _aligned(
            [
                ["passed" if verdict.passed else "BROKEN", f"{verdict.name} {verdict.rule}", verdict.shown]
                for verdict in run.thresholds
            ]
        ),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def could_not_go_on(run: Run) -> str:
    """Return why a scenario has not come to its end, as a line."""
    return f"could not go on: {run.stopped}"


def _notes(run: Run) -> list[str]:
    """Say what the table of latencies is about, and where it is of too few."""
    few = [
        f"{path}: {of.count} samples: p99 is the greatest"
        for path, of in run.latencies.items()
        if of.count < FEW
    ]
    return [run.scope, *few]


def _aligned(rows: Iterable[list[str]]) -> list[str]:
    table = list(rows)
    if not table:
        return []
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
