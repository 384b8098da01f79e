"""The matrix: a column for each report, a row for each group, and in each cell the tests of this group."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from memmie_harness.conformance.matrix.saved import SavedReport, SavedTest
from memmie_harness.conformance.matrix.text import shortened
from memmie_harness.conformance.model import Outcome

_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,4}")

Titles = Mapping[str, str]
"""The titles that the kit gives to groups (`closes`) and tests (`closes/code-1000-up`), in the order of the matrix."""


@dataclass(frozen=True)
class Column:
    """A report in the matrix.

    Attributes:
        report: the report.
        anchor: a name for links, which no other column has; letters, digits, `_` and `-`.
    """

    report: SavedReport
    anchor: str

    @cached_property
    def tests(self) -> dict[str, SavedTest]:
        """The tests by id."""
        return {test.id: test for test in self.report.tests}

    @property
    def version(self) -> str:
        """The version of the target, for the head of the column; empty if the report does not say it."""
        return version_of(self.report)

    @property
    def problems(self) -> list[SavedTest]:
        """The tests that failed or could not be run."""
        return [test for test in self.report.tests if test.outcome in (Outcome.FAILED, Outcome.ERROR)]


@dataclass(frozen=True, slots=True)
class Group:
    """A row of the matrix.

    Attributes:
        name: the first part of the ids.
        title: what its tests are about.
        tests: id and title of each test that a report has.
    """

    name: str
    title: str
    tests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The results of several targets beside each other.

    Attributes:
        columns: the reports.
        groups: the groups, in the order of the kit; a group that the kit does not know is last.
        absent: names of targets that were left out because they are not installed.
        command: the command that wrote the matrix.
    """

    columns: Sequence[Column]
    groups: Sequence[Group]
    absent: Sequence[str] = ()
    command: str = ""

    def cell(self, group: Group, column: Column) -> list[SavedTest]:
        """Return the tests of a group in a report."""
        return [column.tests[each] for each in group.tests if each in column.tests]


def matrix_of(
    reports: Sequence[SavedReport], titles: Titles, *, absent: Sequence[str] = (), command: str = ""
) -> Matrix:
    """Return the matrix of some reports.

    Args:
        reports: the reports, in the order of the columns.
        titles: the titles of groups and tests; those of the reports are only used for tests that it does not have.
        absent: names of targets that are not installed.
        command: the command that writes the matrix.
    """
    reported: dict[str, str] = {}
    for report in reports:
        for test in report.tests:
            reported.setdefault(test.id, test.title)
    known = [each for each in titles if each in reported]
    groups: dict[str, dict[str, str]] = {}
    for each in [*known, *(each for each in reported if each not in titles)]:
        groups.setdefault(each.partition("/")[0], {})[each] = titles.get(each) or reported[each]
    return Matrix(
        _columns(reports),
        [Group(name, titles.get(name, name), tests) for name, tests in groups.items()],
        absent,
        command,
    )


def version_of(report: SavedReport) -> str:
    """Return the number in what the target says about its version, such as `1.27.3` of `nginx version: nginx/1.27.3`.

    If there is no number, it is the beginning of what it says; it is empty if the report does not say it.
    """
    said = report.versions.get(report.target, "")
    number = _NUMBER.search(said)
    return number[0] if number else shortened(said, 40)


def count(tests: Sequence[SavedTest]) -> Counter[Outcome]:
    """Return how many of these tests have each outcome."""
    return Counter(test.outcome for test in tests)


def _columns(reports: Sequence[SavedReport]) -> list[Column]:
    columns: dict[str, Column] = {}
    for report in reports:
        base = re.sub("[^A-Za-z0-9_-]", "_", report.target[:40])
        anchor, number = base, 1
        while anchor in columns:
            number += 1
            anchor = f"{base}-{number}"
        columns[anchor] = Column(report, anchor)
    return list(columns.values())
