from __future__ import annotations

import pytest
from tests.harness.conformance.made_reports import row, saved

from memmie_harness.conformance.matrix.command import titles
from memmie_harness.conformance.matrix.table import count, matrix_of, version_of
from memmie_harness.conformance.model import Outcome

TITLES = {"data": "Messages", "data/text": "Text arrives", "closes": "Ends", "closes/code-1000-up": "It ends"}


def test_rows_are_in_the_order_of_the_kit_and_then_of_the_reports() -> None:
    first = saved(row("new/b"), row("closes/code-1000-up"), target="a")
    second = saved(row("new/a", "failed"), row("data/text"), row("closes/more"), target="b")

    matrix = matrix_of([first, second], TITLES)

    assert [(group.name, group.title, list(group.tests)) for group in matrix.groups] == [
        ("data", "Messages", ["data/text"]),
        ("closes", "Ends", ["closes/code-1000-up", "closes/more"]),
        ("new", "new", ["new/b", "new/a"]),
    ]
    cells = [[test.id for test in matrix.cell(matrix.groups[2], column)] for column in matrix.columns]
    assert cells == [["new/b"], ["new/a"]]
    assert [test.id for test in matrix.columns[1].problems] == ["new/a"]


def test_a_report_cannot_rename_a_test_of_the_kit() -> None:
    (group,) = matrix_of([saved(row(title="Something else"))], TITLES).groups

    assert group.tests == {"closes/code-1000-up": "It ends"}


def test_anchors_are_safe_and_differ() -> None:
    names = ["gw", "gw", "gw-2", 'a b"<', "x" * 90, "../é"]

    anchors = [column.anchor for column in matrix_of([saved(target=name) for name in names], {}).columns]

    assert anchors == ["gw", "gw-2", "gw-2-2", "a_b__", "x" * 40, "____"]


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("1.2", "1.2"),
        ("nginx version: nginx/1.27.3", "1.27.3"),
        ("HAProxy version 3.0.5-8e879a5 2024/09/19", "3.0.5"),
        ("envoy  version: 3ab4a1e7/1.32.0/Clean/RELEASE/BoringSSL", "1.32.0"),
        ("v2 from master", "v2 from master"),
        ("x" * 50, "x" * 40 + "…"),
    ],
)
def test_the_head_of_a_column_has_the_number_of_the_version(said: str, version: str) -> None:
    assert version_of(saved(gw=said, python="3.11")) == version
    assert version_of(saved(python="3.11")) == ""


def test_outcomes_are_counted() -> None:
    tests = saved(row("a/a"), row("a/b"), row("a/c", "error")).tests

    assert count(tests) == {Outcome.PASSED: 2, Outcome.ERROR: 1}


def test_the_kit_titles_every_group_and_test() -> None:
    known = titles()

    assert known["closes"] == "Ends of connections"
    assert "code 1000" in known["closes/code-1000-up"]
