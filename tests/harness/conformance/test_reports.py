from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

from memmie_harness.conformance.model import ConformanceTest, Evidence, Level, Outcome, Report, Result
from memmie_harness.conformance.reports import as_json, as_junit, explain


async def nothing(lab: object) -> None:
    del lab


def result(name: str, outcome: Outcome, evidence: Evidence | None = None) -> Result:
    test = ConformanceTest(f"group/{name}", f"Title of {name}", "RFC 1 §2", Level.MUST, frozenset(), nothing)
    return Result(test, outcome, evidence or Evidence(), 0.5)


REPORT = Report(
    "gw",
    {"gw": "1.2"},
    [
        result("good", Outcome.PASSED),
        result("bad", Outcome.FAILED, Evidence(["client sent: <\\x00>"], "an answer 400", "\x01 <b>101</b>")),
        result("other", Outcome.NOT_OFFERED, Evidence(seen="the profile does not offer auth")),
        result("broken", Outcome.ERROR, Evidence(seen="Traceback")),
    ],
)


def test_json_has_the_promised_form() -> None:
    report = json.loads(as_json(REPORT))

    assert (report["target"], report["versions"]) == ("gw", {"gw": "1.2"})
    assert [test["outcome"] for test in report["tests"]] == ["passed", "failed", "not_offered", "error"]
    assert report["tests"][1] == {
        "id": "group/bad",
        "title": "Title of bad",
        "level": "must",
        "rule": "RFC 1 §2",
        "outcome": "failed",
        "seconds": 0.5,
        "evidence": {
            "exchange": ["client sent: <\\x00>"],
            "expected": "an answer 400",
            "seen": "\x01 <b>101</b>",
        },
    }


def test_junit_counts_and_escapes() -> None:
    suite = ET.fromstring(as_junit(REPORT))  # noqa: S314 - our own text

    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["4", "1", "1", "1"]
    tags = [[child.tag for child in case] for case in suite]
    assert tags == [[], ["failure"], ["skipped"], ["error"]]
    failure = suite[1][0]
    assert failure.get("message") == "expected an answer 400"
    assert "? <b>101</b>" in str(failure.text)


def test_an_explanation_has_rule_and_evidence() -> None:
    assert explain(REPORT.results[1]).splitlines() == [
        "failed group/bad (must): Title of bad",
        "  rule:     RFC 1 §2",
        "  expected: an answer 400",
        "  seen:     \x01 <b>101</b>",
        "    client sent: <\\x00>",
    ]


def test_a_note_is_in_the_report_and_in_the_explanation() -> None:
    noted = result("noted", Outcome.FAILED, Evidence(note="It is documented."))

    assert '"note": "It is documented."' in as_json(Report("gw", {}, [noted]))
    assert "  why:      It is documented." in explain(noted).splitlines()
    assert "note" not in as_json(REPORT)


def test_a_report_conforms_unless_a_test_failed_or_could_not_run() -> None:
    assert not REPORT.conforms
    assert Report("gw", {}, [REPORT.results[0], REPORT.results[2]]).conforms
    assert not Report("gw", {}, [REPORT.results[3]]).conforms


def test_the_offers_that_a_test_depends_on_are_named() -> None:
    test = replace(result("bad", Outcome.FAILED).test, needs=frozenset({"tls", "auth"}))

    assert "\n  offers:   auth, tls\n" in explain(Result(test, Outcome.FAILED, Evidence(seen="101")))
    assert "offers" not in explain(result("bad", Outcome.FAILED))
