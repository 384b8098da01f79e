from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.harness.conformance.made_reports import as_bytes, content, row

from memmie_harness.conformance.catalogue import all_tests
from memmie_harness.conformance.matrix import saved
from memmie_harness.conformance.matrix.saved import ReportError, parse_report, read_reports
from memmie_harness.conformance.model import Evidence, Outcome, Report, Result
from memmie_harness.conformance.reports import as_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # with surrogates


def read(report: object) -> saved.SavedReport:
    return parse_report(as_bytes(report), "theirs.json")


def test_what_the_kit_writes_is_read() -> None:
    """The limits are wide enough for every test of the kit, with evidence of any size."""
    huge = Evidence(["x" * 50_000] * 500, "y" * 50_000, "\ud800" * 50_000, "n" * 5000)
    results = [Result(test, Outcome.FAILED, Evidence(["sent"], "a", "b"), 0.5) for test in all_tests()]
    results[0] = Result(results[0].test, Outcome.ERROR, huge, 0.5)
    versions = {"gw": "v" * 1000}

    report = parse_report(as_json(Report("gw", versions, results)).encode(), "ours.json")

    assert [test.id for test in report.tests] == [test.id for test in all_tests()]
    assert {test.outcome for test in report.tests[1:]} == {Outcome.FAILED}
    assert report.tests[1].evidence == Evidence(["sent"], "a", "b")
    assert report.tests[0].evidence.note == "n" * 2000
    assert report.tests[0].evidence.seen.startswith(r"\ud800\ud800")


@settings(deadline=None)
@given(st.lists(ANY_TEXT, max_size=3), ANY_TEXT, ANY_TEXT, st.floats(0, 1e6))
def test_what_the_kit_writes_is_read_whatever_the_evidence_is(
    exchange: list[str], seen: str, note: str, seconds: float
) -> None:
    result = Result(all_tests()[0], Outcome.FAILED, Evidence(exchange, "", seen, note), seconds)

    (test,) = parse_report(as_json(Report("gw", {}, [result])).encode(), "ours.json").tests

    def storable(text: str) -> str:
        return text.encode("utf-8", "backslashreplace").decode()

    assert test.evidence == Evidence(
        [storable(line) for line in exchange], "", storable(seen), storable(note)
    )


def test_a_report_may_say_less_about_a_test() -> None:
    """The fields of the first reports are enough."""
    first = row(evidence={})
    del first["seconds"]

    (test,) = read(content(first)).tests

    assert (test.evidence, test.seconds, test.group) == (Evidence([]), 0.0, "closes")


CASES: list[tuple[list[str | int], Any, str]] = [
    (["target"], "", "target: has 0 characters; allowed are 1 to 100"),
    (["target"], 5, "target: must be a text, but is 5"),
    (["target"], "x" * 101, "target: has 101 characters; allowed are 1 to 100"),
    (["extra\n"], 5, r"the field 'extra\n' is unknown; allowed are target, versions, tests"),
    (["versions"], [], "versions: must be an object with at most 50 fields, but is a list with 0 entries"),
    (["versions"], {str(n): "" for n in range(51)}, "versions: must be an object with at most 50 fields"),
    (["versions", "a"], 1, "versions.'a': must be a text, but is 1"),
    (["tests"], {}, "tests: must be a list, but is an object with 0 entries"),
    (["tests"], [row()] * 5001, "tests: has 5001 entries; allowed are 5000"),
    (["tests", 1], "x" * 99, f"tests[1]: must be an object, but is '{'x' * 50}'"),
    (["tests", 1, "id"], "closes/code-1000-up", "tests[1]: the test closes/code-1000-up is there twice"),
    (["tests", 1, "id"], "../x", "tests[1].id: must be an id, such as closes/code-1000-up, but is '../x'"),
    (["tests", 1, "id"], "a/b\n", r"tests[1].id: must be an id, such as closes/code-1000-up, but is 'a/b\n'"),
    (["tests", 1, "id"], [], "tests[1].id: must be an id"),
    (["tests", 1, "level"], "may", "tests[1].level: must be one of must, should, feature, but is 'may'"),
    (["tests", 1, "outcome"], "PASSED", "must be one of passed, failed, not_offered, error, but is 'PASSED'"),
    (["tests", 1, "outcome"], [], "tests[1].outcome: must be one of passed"),
    (["tests", 1, "seconds"], True, "tests[1].seconds: must be seconds, but is True"),
    (["tests", 1, "seconds"], -1, "tests[1].seconds: must be seconds, but is -1"),
    (["tests", 1, "seconds"], float("nan"), "tests[1].seconds: must be seconds, but is nan"),
    (["tests", 1, "seconds"], 10**999, "tests[1].seconds: must be seconds, but is 1000"),
    (["tests", 1, "evidence", "note"], "\ud800", "tests[1].evidence.note: has half a character (a surrogate)"),
    (["tests", 1, "title"], "x" * 501, "tests[1].title: has 501 characters; allowed are 0 to 500"),
    (["tests", 1, "evidence", "exchange", 0], None, "tests[1].evidence.exchange[0]: must be a text, but is None"),
    (["tests", 1, "evidence", "exchange"], [""] * 201, "evidence.exchange: has 201 entries; allowed are 200"),
    (["tests", 1, "evidence", "html"], "", "tests[1].evidence: the field 'html' is unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), CASES)
def test_a_wrong_field_is_named(path: list[str | int], value: Any, message: str) -> None:
    report: Any = content(row(), row("closes/other"), a="1")
    place = report
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(ReportError, match="^theirs.json: " + ".*" + re.escape(message)) as caught:
        read(report)

    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("field", ["id", "title", "level", "rule", "outcome", "evidence"])
def test_a_missing_field_is_named(field: str) -> None:
    test = row()
    del test[field]
    with pytest.raises(ReportError, match=rf"^theirs\.json: tests\[0\]\.{field}: is missing$"):
        read(content(test))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not a report in JSON"),
        (b"\xff", "not a report in JSON"),
        ("{}".encode("utf-16"), "not a report in JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"9" * 5000, "not a report in JSON"),
        (b'{"target": "a", "target": "b"}', "two fields with the same name"),
        (b"null", "must be an object, but is None"),
    ],
)
def test_what_is_no_report_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        parse_report(text, "theirs.json")


def test_a_byte_order_mark_does_not_matter() -> None:
    assert parse_report(b"\xef\xbb\xbf" + as_bytes(content()), "theirs.json").target == "gw"


@settings(deadline=None)
@given(VALUES)
def test_any_json_is_a_report_or_refused(value: object) -> None:
    with pytest.raises(ReportError, match=r"^theirs\.json: "):
        read(value)


@settings(deadline=None)
@given(st.data(), VALUES)
def test_a_report_with_any_value_in_any_place_is_read_or_refused(data: st.DataObject, value: Any) -> None:
    report: Any = copy.deepcopy(content(row(note="why"), row("closes/other", "failed"), gw="1"))
    place, step = report, data.draw(st.sampled_from(list(report)))
    while isinstance(place[step], dict | list) and data.draw(st.booleans()):
        place = place[step]
        step = data.draw(st.sampled_from(range(len(place)) if isinstance(place, list) else list(place)))
    place[step] = value
    try:
        read(report)
    except ReportError as error:
        assert str(error).startswith("theirs.json: ")  # noqa: PT017 - other values are read


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(ReportError):
        parse_report(text, "theirs.json")


def test_a_folder_stands_for_its_reports(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_bytes(as_bytes(content(target=name)))
    (tmp_path / "notes.txt").write_text("not read")
    (tmp_path / "empty").mkdir()

    assert [report.target for report in read_reports([str(tmp_path)])] == ["a", "b"]
    with pytest.raises(ReportError, match="has no file"):
        read_reports([str(tmp_path / "empty")])
    with pytest.raises(ReportError, match=r"gone\.json: No such file"):
        read_reports([str(tmp_path / "gone.json")])


def test_a_file_is_not_read_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(content())
    (tmp_path / "fits.json").write_text(text)
    (tmp_path / "large.json").write_text(text + " ")
    monkeypatch.setattr(saved, "MAX_BYTES", len(text))

    assert read_reports([str(tmp_path / "fits.json")])
    for name in (str(tmp_path / "large.json"), "/dev/zero"):
        with pytest.raises(ReportError, match=f"a report has at most {len(text)} bytes"):
            read_reports([name])
