"""A run for people: a short table at its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from loadtests.common.run import Run
from loadtests.common.units import shown

FEW: Final = 100
"""Of fewer samples, the slowest hundredth is the greatest alone."""

VERDICTS: Final = {True: "passed", False: "BROKEN", None: "not judged"}


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
                [VERDICTS[verdict.passed], f"{verdict.name} {verdict.rule}", verdict.shown]
                for verdict in run.thresholds
            ]
        ),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def could_not_go_on(run: Run) -> str:
    """Return why a scenario did not come to its end, as a line."""
    return f"could not go on: {run.stopped}"


def _notes(run: Run) -> list[str]:
    """Say what the latencies are of, and which of them are too few."""
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
