"""The matrix as one HTML page that needs no script, loads nothing, and in which no text of a report is markup."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from memmie_harness.conformance.catalogue import all_tests
from memmie_harness.conformance.matrix.comparison import Change, Runs
from memmie_harness.conformance.matrix.saved import SavedTest
from memmie_harness.conformance.matrix.table import Column, Matrix, count, version_of
from memmie_harness.conformance.matrix.text import shortened, visible, with_code
from memmie_harness.conformance.matrix.words import MEANINGS, SIGNS, TURNS, WORDS
from memmie_harness.conformance.model import Outcome

HERE: Final = Path(__file__).parent

RED: Final = (Outcome.FAILED, Outcome.ERROR)
"""The outcomes that are shown without being asked for."""

LINE_OF_A_PASSED_TEST: Final = 400
"""How many characters of a line of an exchange are shown if the test passed; the JSON report has them all."""


def as_html(matrix: Matrix, runs: Runs | None = None) -> str:
    """Return the page.

    Args:
        matrix: the reports.
        runs: what changed; then the columns of the matrix are the new reports of its comparisons, in this order.
    """
    style = (HERE / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    changes: dict[str, dict[str, Change]] = {}
    for column, comparison in zip(matrix.columns, runs.comparisons if runs else (), strict=False):
        changes[column.anchor] = {change.test.id: change for change in comparison.changes if change.new}

    def change_of(column: Column, test: SavedTest) -> Change | None:
        return changes.get(column.anchor, {}).get(test.id)

    def changes_in(column: Column, tests: Sequence[SavedTest]) -> list[Change]:
        return [change for test in tests if (change := change_of(column, test))]

    return _ENVIRONMENT.get_template("page.html").render(
        title=_title(matrix, runs),
        style=Markup(style),  # noqa: S704 - ours
        style_hash=f"sha256-{digest}",
        matrix=matrix,
        runs=runs,
        change_of=change_of,
        changes_in=changes_in,
    )


def _title(matrix: Matrix, runs: Runs | None) -> str:
    if len(matrix.columns) > 1:
        return "Two runs of the conformance kit" if runs else "Conformance matrix"
    if runs:
        return f"Two runs of the conformance kit: {runs.comparisons[0].title}"
    return f"Conformance of {matrix.columns[0].report.target}"


def _seen(value: Any) -> Any:
    """Escape what cannot be seen in everything that the template inserts; jinja2 escapes what is markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _lines(text: str) -> Markup:
    return escape("\n".join(visible(line) for line in text.split("\n")))


def _cut(line: str, outcome: Outcome) -> str:
    return shortened(line, LINE_OF_A_PASSED_TEST) if outcome is Outcome.PASSED else line


def _code(title: str) -> Markup:
    return Markup().join(
        Markup("<code>{}</code>").format(visible(part)) if is_code else escape(visible(part))
        for part, is_code in with_code(title)
    )


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        finalize=_seen,
        loader=FileSystemLoader(HERE),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(code=_code, cut=_cut, lines=_lines)
    environment.globals.update(
        count=count,
        meanings=MEANINGS,
        needs={test.id: ", ".join(sorted(test.needs)) for test in all_tests() if test.needs},
        outcomes=list(SIGNS),
        red=RED,
        signs=SIGNS,
        turns=TURNS,
        version_of=version_of,
        words=WORDS,
    )
    return environment


_ENVIRONMENT: Final = _environment()
