"""Thresholds: what a run must have reached, from a TOML file with a list of rules for each scenario."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from loadtests.common.errors import UsageError
from loadtests.common.run import DIRECT, OVERHEAD, Figure, Run, Verdict
from loadtests.common.units import shown
from loadtests.runs.sampling import LATE

OPERATORS: Final = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq}

NOTHING: Final = "the run has no value for this rule"
"""Why a rule is broken without a measured value."""

TOO_BUSY: Final = "this machine was too busy"
"""Why a rule is not judged: what is measured without the gateway was as bad."""

LATE_SECONDS: Final = 0.25
"""A client that is so late does not make the load that it says."""

FAILURES: Final = "failures"
PERCENTILES: Final = ("p50", "p95", "p99", "max")
"""What rules may be about of a latency: the names of its attributes."""

ScenarioName = Literal["steady", "soak", "storm", "fanout", "slow", "failover", "drain", "limits"]
SCENARIOS: Final[tuple[str, ...]] = get_args(ScenarioName)
"""The scenarios' names, in the order in which one would look at them."""


class Threshold(BaseModel):
    """One rule, as thresholds.toml describes it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    metric: str
    operator: Literal["<", "<=", ">", ">=", "=="]
    limit: float
    words: str  # what it means when this is broken

    def judge(self, metrics: Mapping[str, Figure]) -> Verdict:
        """Return whether the rule holds.

        A rule about what was not measured is broken. A broken rule about the overhead is not judged if this machine
        alone explains it: the direct path breaks the same bound, or the client itself was late.
        """
        measured = metrics.get(self.metric)
        unit = measured.unit if measured else "s" if self.metric.endswith(PERCENTILES) else ""
        rule = f"{self.operator} {shown(self.limit, unit)}"
        if measured is None:
            return Verdict(self.metric, rule, None, "not measured", passed=False, words=NOTHING)
        holds = self._holds(measured)
        excuse = "" if holds else self._excuse(metrics)
        words, told = excuse or self.words, shown(measured.value, unit)
        return Verdict(self.metric, rule, measured.value, told, passed=None if excuse else holds, words=words)

    def _holds(self, measured: Figure) -> bool:
        return bool(OPERATORS[self.operator](measured.value, self.limit))

    def _excuse(self, metrics: Mapping[str, Figure]) -> str:
        path, _, percentile = self.metric.partition(" ")
        late, direct = metrics.get(LATE), metrics.get(f"{DIRECT} {percentile}")
        if path != OVERHEAD:
            return ""
        if late is not None and late.value > LATE_SECONDS:
            return f"{TOO_BUSY}: the client was up to {shown(late.value, 's')} late"
        if direct is not None and not self._holds(direct):
            return f"{TOO_BUSY}: without any gateway, {percentile} was {shown(direct.value, 's')} directly to a Studio"
        return ""


def read_thresholds(path: Path, scenario: str, metrics: Sequence[str]) -> list[Threshold]:
    """Read the thresholds of a scenario; its rules may be about these metrics."""
    try:
        document = tomllib.loads(path.read_text())
        rules = TypeAdapter(dict[ScenarioName, list[Threshold]]).validate_python(document)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror} (--thresholds)") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ", ".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
        words = f"{where}: {first['msg']} ({first['input']!r} given)"
        raise UsageError(f"{path}: {words} (--thresholds)") from None
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error} (--thresholds)") from None
    found = [rule for name, listed in rules.items() if name == scenario for rule in listed]
    if not found:
        raise UsageError(
            f"{path} has no rule for {scenario}, so nothing would be judged: begin a rule with [[{scenario}]] (--thresholds)"
        )
    for rule in found:
        if rule.metric not in metrics:
            known = ", ".join(map(repr, metrics))
            words = f"metric {rule.metric!r} given, one of these needed: {known}"
            raise UsageError(f"{path}: {words} (--thresholds)")
    return found


def judged(run: Run, thresholds: Sequence[Threshold]) -> Run:
    """Return the run with what became of each threshold.

    If the scenario could not go on, rules about what was to come are left out: nothing else is wrong with them.
    """
    measured = metrics_of(run)
    verdicts = tuple(threshold.judge(measured) for threshold in thresholds)
    if run.stopped:
        verdicts = tuple(verdict for verdict in verdicts if verdict.value is not None)
    passed = {verdict.passed for verdict in verdicts}
    unjudged = "; ".join(dict.fromkeys(verdict.words for verdict in verdicts if verdict.passed is None))
    if run.stopped or False in passed:
        return replace(run, thresholds=verdicts, passed=False)
    return replace(run, thresholds=verdicts, passed=None if unjudged else True, not_judged=unjudged)


def metrics_of(run: Run) -> dict[str, Figure]:
    """Return everything of a run that a threshold may be about, by name."""
    failures = Figure(FAILURES, sum(failure.count for failure in run.failures))
    latencies = [
        Figure(f"{path} {name}", getattr(latency, name), "s")
        for path, latency in run.latencies.items()
        for name in PERCENTILES
    ]
    return {figure.name: figure for figure in (*run.figures, *latencies, failures)}


def metric_names(latencies: Sequence[str], figures: Sequence[str]) -> tuple[str, ...]:
    """Return the names that `metrics_of` has for a run with these latencies and figures."""
    return (FAILURES, *(f"{path} {name}" for path in latencies for name in PERCENTILES), *figures)
