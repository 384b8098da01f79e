from __future__ import annotations

import json

import pytest
from tests.harness.conformance.made_reports import row, saved

from memmie_harness.conformance.matrix.changes import as_json, as_text
from memmie_harness.conformance.matrix.comparison import Kind, compare, compare_runs
from memmie_harness.conformance.matrix.saved import ReportError

KINDS = {
    ("passed", "failed"): Kind.WORSE,
    ("passed", "error"): Kind.WORSE,
    ("passed", "not_offered"): Kind.WORSE,
    ("not_offered", "failed"): Kind.WORSE,
    ("not_offered", "error"): Kind.WORSE,
    ("failed", "passed"): Kind.BETTER,
    ("error", "passed"): Kind.BETTER,
    ("not_offered", "passed"): Kind.BETTER,
    ("failed", "error"): Kind.CHANGED,
    ("failed", "not_offered"): Kind.CHANGED,
    ("error", "failed"): Kind.CHANGED,
    ("error", "not_offered"): Kind.CHANGED,
}
OUTCOMES = ("passed", "failed", "not_offered", "error")


@pytest.mark.parametrize("old", OUTCOMES)
@pytest.mark.parametrize("new", OUTCOMES)
def test_every_pair_of_outcomes_has_its_kind(old: str, new: str) -> None:
    changes = compare(saved(row(outcome=old)), saved(row(outcome=new))).changes

    assert [change.kind for change in changes] == ([] if old == new else [KINDS[old, new]])


def test_tests_of_only_one_run_are_neither_worse_nor_better() -> None:
    runs = compare_runs([saved(row("a/old"))], [saved(row("a/new", "failed"))])

    assert [(each.kind, each.test.id) for each in runs.comparisons[0].changes] == [
        (Kind.ADDED, "a/new"),
        (Kind.REMOVED, "a/old"),
    ]
    assert runs.worse == 0


def test_runs_are_compared_target_by_target() -> None:
    old = [saved(row(), target="a"), saved(row(), target="gone")]
    new = [saved(row(), target="come"), saved(row(outcome="failed"), target="a")]

    runs = compare_runs(old, new)

    assert [each.title for each in runs.comparisons] == ["a"]
    assert (runs.only_old, runs.only_new, runs.worse) == (["gone"], ["come"], 1)


def test_two_reports_are_compared_whatever_their_names_are() -> None:
    runs = compare_runs([saved(target="a")], [saved(target="b")])

    assert [each.title for each in runs.comparisons] == ["a → b"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (["a", "b"], ["c"], "no target in common: a, b and c"),
        (["a", "a"], ["a"], "two reports of the target a"),
        (["a"], ["b", "b"], "two reports of the target b"),
    ],
)
def test_runs_that_do_not_fit_are_refused(old: list[str], new: list[str], message: str) -> None:
    with pytest.raises(ReportError, match=message):
        compare_runs([saved(target=name) for name in old], [saved(target=name) for name in new])


def test_the_text_explains_what_got_worse() -> None:
    old = saved(row("a/a"), row("a/b", "failed"), row("a/c", "error"), row("a/d"), row("a/e"))
    worse = row("a/a", "failed", title="One\nline\x1b[2J", evidence={"expected": "1002", "seen": "x" * 500})
    new = saved(worse, row("a/b"), row("a/c", "not_offered"), row("a/d"), row("a/f"))

    assert as_text(compare_runs([old], [new])).splitlines() == [
        "gw: 1 worse, 1 better, 1 changed, 1 added, 1 removed",
        "  worse   a/a (must): passed → failed",
        r"          One\nline\x1b[2J",
        "          expected: 1002",
        f"          seen: {'x' * 400}…",
        "  better  a/b (must): failed → passed",
        "  changed a/c (must): not run → not offered",
    ]


def test_the_text_says_what_was_not_compared() -> None:
    old = [saved(target="a"), saved(target="b\n")]
    new = [saved(target="a"), saved(target="c")]

    assert as_text(compare_runs(old, new)).splitlines() == [
        "a: no test has another result",
        r"only in the old run: b\n",
        "only in the new run: c",
    ]


def test_the_json_has_every_change() -> None:
    old = saved(row("a/a"), row("a/b"), gw="1")
    new = saved(row("a/a", "failed"), row("a/c"), gw="2")

    shown = json.loads(as_json(compare_runs([old], [new])))

    assert (shown["only_old"], shown["only_new"]) == ([], [])
    (comparison,) = shown["comparisons"]
    assert comparison["old"] == {"target": "gw", "versions": {"gw": "1"}}
    assert comparison["new"] == {"target": "gw", "versions": {"gw": "2"}}
    assert comparison["worse"] == [
        {
            "id": "a/a",
            "title": "Title of a/a",
            "level": "must",
            "rule": "RFC 6455 §5.5.1",
            "old": "passed",
            "new": "failed",
        }
    ]
    pairs = {kind: [(each["old"], each["new"]) for each in comparison[kind]] for kind in Kind}
    assert pairs == {
        "worse": [("passed", "failed")],
        "better": [],
        "changed": [],
        "added": [(None, "passed")],
        "removed": [("passed", None)],
    }
