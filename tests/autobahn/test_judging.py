"""What counts as a difference between a case through the gateway and the same case without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.autobahn.cases import PROFILE, SAMPLE
from tests.autobahn.judging import DIRECT, GATEWAY, Result, differences, read_results, table

OK = Result("OK", "OK", clean=True)
UNCLEAN = Result("OK", "OK", clean=False, reason="peer dropped the TCP connection")


@pytest.mark.parametrize(
    ("direct", "gateway", "expected"),
    [
        pytest.param(OK, OK, [], id="the same"),
        pytest.param(UNCLEAN, UNCLEAN, [], id="unclean without the gateway, too"),
        pytest.param(UNCLEAN, OK, [], id="clean through the gateway only"),
        pytest.param(
            OK,
            UNCLEAN,
            [
                "1.1: directly OK (closing OK), through the gateway OK (closing OK, unclean): peer dropped the TCP connection"
            ],
            id="unclean through the gateway only",
        ),
        pytest.param(
            OK,
            Result("NON-STRICT", "OK", clean=True, reason="late"),
            ["1.1: directly OK (closing OK), through the gateway NON-STRICT (closing OK): late"],
            id="another verdict",
        ),
        pytest.param(
            Result("FAILED", "OK", clean=True),
            OK,
            ["1.1: directly FAILED (closing OK), through the gateway OK (closing OK): "],
            id="a better verdict is a difference, too",
        ),
        pytest.param(
            OK,
            Result("OK", "WRONG CODE", clean=True, reason="1002"),
            ["1.1: directly OK (closing OK), through the gateway OK (closing WRONG CODE): 1002"],
            id="another close code",
        ),
    ],
)
def test_a_difference(direct: Result, gateway: Result, expected: list[str]) -> None:
    assert expected == differences({"1.1": direct}, {"1.1": gateway})


def test_a_case_that_was_not_run_is_a_difference_and_all_are_in_order() -> None:
    assert differences({"1.10": OK, "1.9": OK}, {"1.1": OK}, ["1.2", "2.*"]) == [
        "1.1: not run directly",
        "1.2: not run directly",
        "1.9: not run through the gateway",
        "1.10: not run through the gateway",
    ]


def test_results_are_read_from_the_reports_of_the_suite(tmp_path: Path) -> None:
    case = {
        "behavior": "OK",
        "behaviorClose": "OK",
        "wasClean": False,
        "result": "as",
        "resultClose": "it is",
    }
    (tmp_path / "case.json").write_text(json.dumps(case))
    (tmp_path / "index.json").write_text(json.dumps({GATEWAY: {"1.1": {"reportfile": "case.json"}}}))
    assert read_results(tmp_path) == {GATEWAY: {"1.1": Result("OK", "OK", clean=False, reason="as it is")}}


def test_the_table_counts_unclean_ends() -> None:
    text = table({"fuzzing client": {DIRECT: {"1.1": OK}, GATEWAY: {"1.1": OK, "1.2": UNCLEAN}}})
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "suite testee cases unclean verdicts",
        "fuzzing client direct 1 0 1 OK",
        "fuzzing client gateway 2 1 2 OK",
    ]


def test_the_sample_has_60_cases() -> None:
    assert len(set(SAMPLE)) == len(SAMPLE) == 60
    assert len(set(PROFILE)) == len(PROFILE)
