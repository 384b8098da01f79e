"""The matrix as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memmie_harness.conformance.matrix.saved import SavedTest
from memmie_harness.conformance.matrix.table import Column, Matrix, count
from memmie_harness.conformance.matrix.text import markdown, markdown_title, shortened, visible
from memmie_harness.conformance.matrix.words import MEANINGS, SIGNS


def as_markdown(matrix: Matrix) -> str:
    """Return the page: the command, the matrix, and what failed in each column."""
    return "\n".join(_lines(matrix)) + "\n"


def _lines(matrix: Matrix) -> Iterator[str]:
    yield "# Conformance matrix"
    if matrix.command:
        yield from ("", "Written by this command:", "", "```sh", visible(matrix.command), "```")
    yield ""
    for outcome, meaning in MEANINGS.items():
        yield f"- {SIGNS[outcome]} {meaning}"
    heads = [_head(column) for column in matrix.columns]
    yield from ("", _row(["group", *heads]), _row(["---"] * (len(heads) + 1)))
    for group in matrix.groups:
        cells = [_cell(matrix.cell(group, column)) for column in matrix.columns]
        yield _row([markdown(group.title), *cells])
    yield _row(["**all**", *(_cell(column.report.tests) for column in matrix.columns)])
    if matrix.absent:
        yield from ("", f"Not installed: {', '.join(map(markdown, matrix.absent))}.")
    yield from ("", "## Tests that failed or could not be run")
    if not any(column.problems for column in matrix.columns):
        yield from ("", "None.")
    for column in matrix.columns:
        if column.problems:
            yield from ("", f"### {_head(column)}", "")
            yield from (_row(["test", "title", "rule", "why"]), _row(["---"] * 4))
            for test in column.problems:
                rule = f"{markdown(test.rule)} ({test.level})"
                yield _row(
                    [f"{SIGNS[test.outcome]} `{test.id}`", markdown_title(test.title), rule, _why(test)]
                )


def _head(column: Column) -> str:
    return markdown(f"{column.report.target} {column.version}".strip())


def _cell(tests: Sequence[SavedTest]) -> str:
    number = count(tests)
    return " ".join(f"{sign} {number[outcome]}" for outcome, sign in SIGNS.items() if number[outcome])


def _why(test: SavedTest) -> str:
    if test.evidence.note:
        return markdown(test.evidence.note)
    parts = [("expected ", test.evidence.expected), ("seen: ", test.evidence.seen)]
    return "; ".join(f"{word}{markdown(shortened(text, 120))}" for word, text in parts if text)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
