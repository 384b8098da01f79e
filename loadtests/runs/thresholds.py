"""Thresholds: what a run must have reached, from a TOML file with a list of rules for each scenario."""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.common.run import Figure, Latency, Run, Verdict
from loadtests.common.units import shown

OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}

NOTHING: Final = "there was nothing to measure it by"
"""Why a rule is broken without a measured value."""

FAILURES: Final = "failures"
PERCENTILES: Final = ("p50", "p95", "p99", "max")
"""What is told of a latency, and its attributes' names."""

_FIELDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "metric": str,
    "operator": str,
    "limit": (int, float),
    "words": str,
}


class ThresholdsError(Exception):
    """The file cannot be used; says where and why."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule.

    Attributes:
        metric: a latency (`overhead p99`), `failures`, or one of the scenario's figures by its name.
        operator: one of `OPERATORS`.
        limit: in the metric's unit: seconds, bytes, a share of 1 or a count.
        words: what it means when this is broken.
    """

    metric: str
    operator: str
    limit: float
    words: str

    def judge(self, metrics: Mapping[str, Figure]) -> Verdict:
        """Say whether it holds; what was not measured does not."""
        measured = metrics.get(self.metric)
        if measured is None:
            unit = "s" if self.metric.endswith(PERCENTILES) else ""
            return Verdict(
                name=self.metric,
                rule=f"{self.operator} {shown(self.limit, unit)}",
                value=None,
                shown="not measured",
                passed=False,
                words=NOTHING,
            )
        return Verdict(
            name=self.metric,
            rule=f"{self.operator} {shown(self.limit, measured.unit)}",
            value=measured.value,
            shown=shown(measured.value, measured.unit),
            passed=OPERATORS[self.operator](measured.value, self.limit),
            words=self.words,
        )


def read_thresholds(path: Path, scenarios: Mapping[str, Sequence[str]]) -> dict[str, tuple[Threshold, ...]]:
    """Read the thresholds of every scenario.

    Args:
        path: the file.
        scenarios: the names that may stand in it, each with the metrics that rules may be about.

    Raises:
        ThresholdsError: it cannot be read, or something in it is wrong.
    """
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise ThresholdsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ThresholdsError(f"{path} is no TOML: {error}") from None
    found = {}
    for scenario, rules in document.items():
        if scenario not in scenarios:
            raise ThresholdsError(f"{path}: there is no scenario {scenario!r}, only {', '.join(scenarios)}")
        if not isinstance(rules, list):
            raise ThresholdsError(f"{path}: {scenario} is no list of rules: each begins with [[{scenario}]]")
        found[scenario] = tuple(
            _rule(rule, f"{path}: {scenario}, rule {number}", scenarios[scenario])
            for number, rule in enumerate(rules, start=1)
        )
    return found


def _rule(rule: Any, where: str, metrics: Sequence[str]) -> Threshold:
    if not isinstance(rule, dict) or rule.keys() != _FIELDS.keys():
        given = ", ".join(rule) if isinstance(rule, dict) else repr(rule)
        raise ThresholdsError(f"{where}: {given or 'nothing'} given, {', '.join(_FIELDS)} needed")
    for name, kind in _FIELDS.items():
        if not isinstance(rule[name], kind) or isinstance(rule[name], bool):
            needed = "a number" if name == "limit" else "text"
            raise ThresholdsError(f"{where}: {name} = {rule[name]!r} given, {needed} needed")
    if rule["operator"] not in OPERATORS:
        raise ThresholdsError(
            f"{where}: operator {rule['operator']!r} given, one of {' '.join(OPERATORS)} needed"
        )
    if rule["metric"] not in metrics:
        raise ThresholdsError(
            f"{where}: metric {rule['metric']!r} given, one of these needed: {', '.join(map(repr, metrics))}"
        )
    return Threshold(rule["metric"], rule["operator"], float(rule["limit"]), rule["words"])


def metrics_of(run: Run) -> dict[str, Figure]:
    """Return everything of a run that a threshold may be about, by name."""
    found = {figure.name: figure for figure in run.figures}
    for path, latency in run.latencies.items():
        found.update({figure.name: figure for figure in _latency_figures(path, latency)})
    failures = Figure(FAILURES, sum(failure.count for failure in run.failures))
    return {**found, failures.name: failures}


def metric_names(latencies: Sequence[str], figures: Sequence[str]) -> tuple[str, ...]:
    """Return the names that `metrics_of` has for a run with these latencies and figures."""
    return (FAILURES, *(f"{path} {name}" for path in latencies for name in PERCENTILES), *figures)


def _latency_figures(path: str, latency: Latency) -> list[Figure]:
    return [Figure(f"{path} {name}", getattr(latency, name), "s") for name in PERCENTILES]
