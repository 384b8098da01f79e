"""Thresholds: the file is read strictly, and each rule is judged by what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.common.run import Failure, Figure, Latency, Run
from loadtests.runs.thresholds import (
    NOTHING,
    Threshold,
    ThresholdsError,
    metric_names,
    metrics_of,
    read_thresholds,
)

RULE = """
[[steady]]
metric = "overhead p99"
operator = "<"
limit = 0.01
words = "too slow"
"""

METRICS = {"steady": ("failures", "overhead p99", "client CPU, busiest second")}

RUN = Run(
    scenario="steady",
    about="",
    started="",
    seconds=1,
    gateway_url="ws://127.0.0.1:1/ws",
    latencies={"overhead": Latency(3, 0.001, 0.002, 0.004, 0.005, ())},
    failures=(Failure("heartbeat", "closed 1012", 2), Failure("connect", "refused 503", 1)),
    figures=(Figure("lost", 0), Figure("back after", 1.5, "s")),
)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.toml"
    file.write_text(RULE)
    assert read_thresholds(file, {**METRICS, "storm": ()}) == {
        "steady": (Threshold("overhead p99", "<", 0.01, "too slow"),)
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[steady", "is no TOML"),
        (RULE.replace("steady", "stormy"), "there is no scenario 'stormy', only steady"),
        ("steady = 3", "each begins with [[steady]]"),
        (RULE.replace('metric = "overhead p99"', ""), "rule 1: operator, limit, words given, metric"),
        (RULE + "unit = 's'", "unit given, metric, operator, limit, words needed"),
        (RULE.replace("0.01", '"0.01"'), "limit = '0.01' given, a number needed"),
        (RULE.replace("0.01", "true"), "limit = True given, a number needed"),
        (
            RULE.replace("p99", "p98"),
            "metric 'overhead p98' given, one of these needed: 'failures', 'overhead p99', 'client CPU, busiest second'",
        ),
        (RULE.replace('"<"', '"=<"'), "operator '=<' given, one of < <= > >= == needed"),
    ],
)
def test_a_bad_file_is_refused_and_the_error_says_where(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ThresholdsError) as caught:
        read_thresholds(file, METRICS)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ThresholdsError, match="cannot be read: No such file"):
        read_thresholds(tmp_path / "none.toml", METRICS)


@pytest.mark.parametrize(
    ("metric", "operator", "limit", "rule", "shown", "passed"),
    [
        ("overhead p99", "<", 0.01, "< 10 ms", "4 ms", True),
        ("overhead p99", "<", 0.004, "< 4 ms", "4 ms", False),
        ("overhead p99", "<=", 0.004, "<= 4 ms", "4 ms", True),
        ("overhead max", ">", 0.004, "> 4 ms", "5 ms", True),
        ("failures", "==", 0, "== 0", "3", False),
        ("lost", "==", 0, "== 0", "0", True),
        ("back after", ">=", 2, ">= 2 s", "1.5 s", False),
        ("nonsense", "==", 0, "== 0", "not measured", False),
        ("direct p99", "<", 0.004, "< 4 ms", "not measured", False),
    ],
)
def test_a_rule_is_judged(
    metric: str, operator: str, limit: float, rule: str, shown: str, *, passed: bool
) -> None:
    verdict = Threshold(metric, operator, limit, "why").judge(metrics_of(RUN))
    assert (verdict.rule, verdict.shown, verdict.passed) == (rule, shown, passed)
    assert verdict.words == ("why" if shown != "not measured" else NOTHING)


def test_the_names_of_metrics_are_those_that_a_run_has() -> None:
    assert set(metric_names(("overhead",), ("lost", "back after"))) == metrics_of(RUN).keys()
