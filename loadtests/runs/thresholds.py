"""Thresholds: what a run must have reached, from a TOML file with a list of rules for each scenario."""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.common.errors import UsageError
from loadtests.common.run import DIRECT, OVERHEAD, Figure, Latency, Run, Verdict
from loadtests.common.units import shown
from loadtests.runs.sampling import LATE

OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}

NOTHING: Final = "there was nothing to measure it by"
"""Why a rule is broken without a measured value."""

TOO_BUSY: Final = "this machine was too busy"
"""Why a rule is not judged: what is measured without the gateway was as bad."""

LATE_SECONDS: Final = 0.25
"""A client that is so late does not make the load that it says."""

FAILURES: Final = "failures"
PERCENTILES: Final = ("p50", "p95", "p99", "max")
"""What rules may be about of a latency: the names of its attributes."""

SCENARIOS: Final = ("steady", "soak", "storm", "fanout", "slow", "failover", "drain", "limits")
"""The scenarios' names, in the order in which one would look at them."""

_FIELDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "metric": str,
    "operator": str,
    "limit": (int, float),
    "words": str,
}


class ThresholdsError(UsageError):
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
        """Return whether the rule holds.

        A rule about what was not measured is broken. A broken rule about the overhead is not judged if this machine
        alone explains it: the direct path breaks the same bound, or the client itself was late.
        """
        measured = metrics.get(self.metric)
        if measured is None:
            unit = "s" if self.metric.endswith(PERCENTILES) else ""
            rule = f"{self.operator} {shown(self.limit, unit)}"
            return Verdict(self.metric, rule, None, "not measured", passed=False, words=NOTHING)
        holds = self._holds(measured)
        excuse = "" if holds else self._excuse(metrics)
        return Verdict(
            name=self.metric,
            rule=f"{self.operator} {shown(self.limit, measured.unit)}",
            value=measured.value,
            shown=shown(measured.value, measured.unit),
            passed=None if excuse else holds,
            words=excuse or self.words,
        )

    def _holds(self, measured: Figure) -> bool:
        return OPERATORS[self.operator](measured.value, self.limit)

    def _excuse(self, metrics: Mapping[str, Figure]) -> str:
        path, _, percentile = self.metric.partition(" ")
        if path != OVERHEAD:
            return ""
        late = metrics.get(LATE)
        if late is not None and late.value > LATE_SECONDS:
            return f"{TOO_BUSY}: the client was up to {shown(late.value, 's')} late"
        direct = metrics.get(f"{DIRECT} {percentile}")
        if direct is not None and not self._holds(direct):
            return f"{TOO_BUSY}: directly to a Studio {percentile} was {shown(direct.value, 's')}, without any gateway"
        return ""


def read_thresholds(path: Path, scenario: str, metrics: Sequence[str]) -> tuple[Threshold, ...]:
    """Read the thresholds of a scenario.

    Args:
        path: a file with a list of rules for each of several scenarios.
        scenario: the scenario's name.
        metrics: the names its rules may be about.

    Raises:
        ThresholdsError: it cannot be read, something in it is wrong, or it has no rule for the scenario.
    """
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise ThresholdsError(f"{path} cannot be read: {error.strerror} (--thresholds)") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ThresholdsError(f"{path} is not valid TOML: {error} (--thresholds)") from None
    for name, rules in document.items():
        if name not in SCENARIOS:
            raise ThresholdsError(
                f"{path}: there is no scenario {name!r}, only {', '.join(SCENARIOS)} (--thresholds)"
            )
        if not isinstance(rules, list):
            raise ThresholdsError(
                f"{path}: {name} is not a list of rules: each begins with [[{name}]] (--thresholds)"
            )
        for number, rule in enumerate(rules, start=1):
            _check(rule, f"{path}: {name}, rule {number}", metrics if name == scenario else None)
    if not document.get(scenario):
        raise ThresholdsError(
            f"{path} has no rule for {scenario}: each begins with [[{scenario}]], and without one nothing is judged "
            "(--thresholds)"
        )
    return tuple(
        Threshold(rule["metric"], rule["operator"], float(rule["limit"]), rule["words"])
        for rule in document[scenario]
    )


def _check(rule: Any, where: str, metrics: Sequence[str] | None) -> None:
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
    if metrics is not None and rule["metric"] not in metrics:
        raise ThresholdsError(
            f"{where}: metric {rule['metric']!r} given, one of these needed: {', '.join(map(repr, metrics))}"
        )


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
