"""Thresholds: the file is read strictly, and each rule is judged by what was measured."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.common.errors import UsageError
from loadtests.common.run import Failure, Figure, Latency, Run
from loadtests.runs.thresholds import (
    NOTHING,
    SCENARIOS,
    Threshold,
    judged,
    metric_names,
    metrics_of,
    read_thresholds,
)

THRESHOLDS = Path(__file__).parents[2] / "loadtests" / "thresholds.toml"

RULE = """
[[steady]]
metric = "overhead p99"
operator = "<"
limit = 0.01
words = "too slow"
"""

METRICS = ("failures", "overhead p99", "client CPU, busiest second")

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


def rule(metric: str, operator: Any, limit: float, words: str) -> Threshold:
    return Threshold(metric=metric, operator=operator, limit=limit, words=words)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.toml"
    file.write_text(RULE + RULE.replace("steady", "storm").replace("overhead p99", "of the storm's own"))
    assert read_thresholds(file, "steady", METRICS) == [rule("overhead p99", "<", 0.01, "too slow")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[steady", "is not valid TOML"),
        (RULE.replace("steady", "stormy"), "Input should be 'steady', 'soak', 'storm'"),
        ("steady = 3", "steady: Input should be a valid list (3 given)"),
        (RULE.replace('metric = "overhead p99"', ""), "steady, 1, metric: Field required"),
        (RULE + RULE + "unit = 's'", "steady, 2, unit: Extra inputs are not permitted ('s' given)"),
        (RULE.replace("0.01", '"0.01"'), "limit: Input should be a valid number ('0.01' given)"),
        (RULE.replace("0.01", "true"), "limit: Input should be a valid number (True given)"),
        (
            RULE.replace("p99", "p98"),
            "metric 'overhead p98' is not one of these: 'failures', 'overhead p99', 'client CPU, busiest second'",
        ),
        (RULE.replace('"<"', '"=<"'), "operator: Input should be '<', '<=', '>', '>=' or '==' ('=<' given)"),
        (
            RULE.replace("steady", "storm"),
            "has no rule for steady, so nothing would be judged: begin a rule with [[steady]]",
        ),
    ],
)
def test_a_bad_file_is_refused_and_the_error_says_where(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_thresholds(file, "steady", METRICS)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_thresholds(tmp_path / "none.toml", "steady", METRICS)


def test_the_projects_own_file_fits_every_scenario() -> None:
    document = tomllib.loads(THRESHOLDS.read_text())
    assert list(document) == list(SCENARIOS)
    for scenario, rules in document.items():
        assert read_thresholds(THRESHOLDS, scenario, [each["metric"] for each in rules])


@pytest.mark.parametrize(
    ("metric", "operator", "limit", "written", "shown", "passed"),
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
    metric: str, operator: str, limit: float, written: str, shown: str, *, passed: bool
) -> None:
    verdict = rule(metric, operator, limit, "why").judge(metrics_of(RUN))
    assert (verdict.rule, verdict.shown, verdict.passed) == (written, shown, passed)
    assert verdict.words == ("why" if shown != "not measured" else NOTHING)


def test_the_names_of_metrics_are_those_that_a_run_has() -> None:
    assert set(metric_names(("overhead",), ("lost", "back after"))) == metrics_of(RUN).keys()


@pytest.mark.parametrize(
    ("direct_p99", "late", "passed", "words"),
    [
        (0.002, 0.1, False, "too slow"),
        (
            0.010,
            0.1,
            None,
            "this machine was too busy: without any gateway, p99 was 10 ms directly to a Studio",
        ),
        (0.002, 0.3, None, "this machine was too busy: the client was up to 300 ms late"),
    ],
)
def test_a_busy_machine_is_no_slow_gateway(
    direct_p99: float, late: float, words: str, *, passed: bool | None
) -> None:
    metrics = {
        "overhead p99": Figure("overhead p99", 0.012, "s"),
        "direct p99": Figure("direct p99", direct_p99, "s"),
        "client delay, maximum": Figure("client delay, maximum", late, "s"),
        "gateway p99": Figure("gateway p99", 0.022, "s"),
    }
    verdict = rule("overhead p99", "<", 0.01, "too slow").judge(metrics)
    assert (verdict.passed, verdict.words, verdict.shown) == (passed, words, "12 ms")
    assert rule("overhead p99", "<", 0.02, "").judge(metrics).passed is True
    assert (
        rule("gateway p99", "<", 0.01, "").judge(metrics).passed is False
    )  # a gateway must hold abusers on any machine


def test_a_run_is_not_judged_only_where_nothing_else_is_broken() -> None:
    busy = (*RUN.figures, Figure("client delay, maximum", 0.5, "s"))
    run = replace(RUN, figures=busy)
    unjudged, holds, broken = (
        rule("overhead p99", "<", 0.001, "too slow"), rule("lost", "==", 0, ""), rule("lost", ">", 0, "")
    )  # fmt: skip
    assert [judged(run, rules).passed for rules in ([holds], [unjudged, holds], [unjudged, broken])] == [
        True,
        None,
        False,
    ]
    assert judged(run, [unjudged]).not_judged == "this machine was too busy: the client was up to 500 ms late"
