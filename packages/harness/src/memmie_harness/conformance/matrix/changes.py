"""What changed between two runs, as text for a terminal and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from memmie_harness.conformance.matrix.comparison import Change, Comparison, Kind, Runs
from memmie_harness.conformance.matrix.saved import SavedReport, SavedTest
from memmie_harness.conformance.matrix.text import shortened, visible
from memmie_harness.conformance.matrix.words import WORDS

SHOWN = (Kind.WORSE, Kind.BETTER, Kind.CHANGED)
"""The kinds of changes that are listed one by one; of the others the text has only the number."""


def as_text(runs: Runs) -> str:
    """Return the changes as lines; what got worse comes first, with what was expected and seen."""
    return "\n".join(_lines(runs))


def _lines(runs: Runs) -> Iterator[str]:
    for comparison in runs.comparisons:
        yield f"{visible(comparison.title)}: {_numbers(comparison)}"
        for kind in SHOWN:
            for change in comparison.of(kind):
                yield from _change(change)
    for which, targets in (("old", runs.only_old), ("new", runs.only_new)):
        if targets:
            yield f"only in the {which} run: {', '.join(map(visible, targets))}"


def _numbers(comparison: Comparison) -> str:
    numbers = [f"{len(comparison.of(kind))} {kind}" for kind in Kind if comparison.of(kind)]
    return ", ".join(numbers) or "no test has another result"


def _change(change: Change) -> Iterator[str]:
    test = change.test
    yield f"  {change.kind:<7} {test.id} ({test.level}): {_outcome(change.old)} → {_outcome(change.new)}"
    if change.kind is Kind.WORSE:
        yield f"          {visible(test.title)}"
        for name, text in (("expected", test.evidence.expected), ("seen", test.evidence.seen)):
            if text:
                yield f"          {name}: {shortened(visible(text), 400)}"


def as_json(runs: Runs) -> str:
    """Return the changes as a JSON object."""
    return (
        json.dumps(
            {
                "comparisons": [_comparison(each) for each in runs.comparisons],
                "only_old": list(runs.only_old),
                "only_new": list(runs.only_new),
            },
            indent=1,
        )
        + "\n"
    )


def _comparison(comparison: Comparison) -> dict[str, Any]:
    changes = {str(kind): [_row(change) for change in comparison.of(kind)] for kind in Kind}
    return {"old": _run(comparison.old), "new": _run(comparison.new), **changes}


def _run(report: SavedReport) -> dict[str, Any]:
    return {"target": report.target, "versions": report.versions}


def _row(change: Change) -> dict[str, Any]:
    test = change.test
    return {
        "id": test.id,
        "title": test.title,
        "level": str(test.level),
        "rule": test.rule,
        "old": str(change.old.outcome) if change.old else None,
        "new": str(change.new.outcome) if change.new else None,
    }


def _outcome(test: SavedTest | None) -> str:
    return WORDS[test.outcome] if test else "not run"
