"""`memmie conformance matrix` and `memmie conformance compare`: what they read and write, and their exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from memmie_harness.conformance import catalogue
from memmie_harness.conformance.matrix import changes
from memmie_harness.conformance.matrix.comparison import compare_runs
from memmie_harness.conformance.matrix.markdown import as_markdown
from memmie_harness.conformance.matrix.page import as_html
from memmie_harness.conformance.matrix.saved import ReportError, SavedReport, read_reports
from memmie_harness.conformance.matrix.table import matrix_of
from memmie_harness.conformance.matrix.text import visible
from memmie_harness.conformance.output import (
    STANDARD,
    OutputError,
    notes_stream,
    say,
    unwritable,
    usage,
    write,
)

WORSE: Final = 1
"""Exit code if a test got worse."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Where to write the matrix.

    Attributes:
        html: the page; `-` is standard output, None writes none.
        markdown: the same as Markdown.
        command: the command that is run, which the pages quote.
    """

    html: str | None = None
    markdown: str | None = None
    command: str = ""

    @property
    def files(self) -> list[str | None]:
        """The files."""
        return [self.html, self.markdown]


def write_matrix(reports: Sequence[SavedReport], pages: Pages, absent: Sequence[str] = ()) -> None:
    """Write the matrix of these reports.

    Args:
        reports: the reports.
        pages: where to write it.
        absent: names of targets that are not installed.

    Raises:
        OutputError: a file could not be written.
    """
    matrix = matrix_of(reports, titles(), absent=absent, command=pages.command)
    write(
        (pages.html, as_html(matrix) if pages.html is not None else ""),
        (pages.markdown, as_markdown(matrix) if pages.markdown is not None else ""),
    )


def run_matrix(files: Sequence[str], pages: Pages) -> int:
    """Write the matrix of the reports in files, and return the exit code; without a file, print it as Markdown."""
    if pages.html is None and pages.markdown is None:
        pages = Pages(markdown=STANDARD, command=pages.command)
    if problem := unwritable(pages.files):
        return usage(problem)
    try:
        reports = read_reports(files)
        write_matrix(reports, pages)
    except ReportError as error:
        return usage(visible(str(error)))
    except OutputError as error:
        return usage(str(error))
    return 0


def run_compare(old: str, new: str, *, json: str | None = None, html: str | None = None, command: str) -> int:
    """Compare two runs, each a report or a folder of reports; return the exit code.

    Args:
        old: the file or the folder of the old run.
        new: that of the new run.
        json: write the changes as JSON to this file; `-` is standard output.
        html: write the matrix of the new run, with the changes, to this file.
        command: the command that is run.
    """
    if problem := unwritable([json, html]):
        return usage(problem)
    try:
        runs = compare_runs(read_reports([old]), read_reports([new]))
    except ReportError as error:
        return usage(visible(str(error)))
    say(changes.as_text(runs), notes_stream([json, html]))
    page = ""
    if html is not None:
        matrix = matrix_of([each.new for each in runs.comparisons], titles(), command=command)
        page = as_html(matrix, runs)
    try:
        write((json, changes.as_json(runs)), (html, page))
    except OutputError as error:
        return usage(str(error))
    return WORSE if runs.worse else 0


def titles() -> dict[str, str]:
    """Return the titles of the kit's groups and tests."""
    found: dict[str, str] = {}
    for group in catalogue.GROUPS:
        found[group.name] = group.title
        found.update((test.id, test.title) for test in group.tests)
    return found
