"""What the gateway shall cost at most (`targets.toml`), and what became of it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.benchmark.cases import MEASUREMENTS, Case
from loadtests.benchmark.figure import Figure, Spread, ratios, values
from loadtests.benchmark.figures import FIGURES
from loadtests.benchmark.rows import Record
from loadtests.peers.catalogue import OURS

TARGETS: Final = Path(__file__).with_name("targets.toml")

_WHERE: Final = ("connections", "size", "rate")
_KEYS: Final = {"figure", "of", "at_most", "at_least", "from", *_WHERE}


@dataclass(frozen=True, slots=True)
class Needed:
    """How much has to be measured to judge.

    Attributes:
        rounds: in which both sides were measured.
        seconds: length of a window, where there is one.
    """

    rounds: int
    seconds: float

    def lacking(self, case: Case, rounds: int, connections: int) -> str:
        """Say what there is too little of; "" where there is enough.

        Args:
            case: that was measured.
            rounds: in how many.
            connections: how many of them it takes.
        """
        seconds = self.seconds if case.seconds is None else case.seconds
        found = (
            ("rounds", rounds, 1 if MEASUREMENTS[case.measurement].once else self.rounds),
            ("seconds", seconds, self.seconds),
            ("connections", case.connections, connections),
        )
        return ", ".join(f"{what}: {has:g} of {needed:g}" for what, has, needed in found if has < needed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one target.

    Attributes:
        figure: the name of the number.
        case: where it was measured.
        of: the peer it is a ratio to; None for the number itself.
        unit: of the value and the limit; "" for a ratio.
        value: the median.
        limit: that it is held against.
        at_least: whether the value has to reach the limit, instead of staying within it.
        lacking: what there is too little of to judge; "" where there is enough.
    """

    figure: str
    case: Case
    of: str | None
    unit: str
    value: float
    limit: float
    at_least: bool
    lacking: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the target holds; None where too little was measured to say."""
        return None if self.lacking else self._within

    @property
    def _within(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        """Say it in a line."""
        what = f"{self.figure} {self.case}" + (f", {OURS} ÷ {self.of}" if self.of else "")
        within = self._within
        sign = ("≥" if self.at_least else "≤") if within else ("<" if self.at_least else ">")
        outcome = "held" if within else f"missed by {abs(self.value - self.limit):,.4g}"
        if self.held is None:
            outcome = f"not judged ({self.lacking})"
        return (
            f"{what}: {self.value:,.4g} {sign} {self.limit:,.4g}{' ' * bool(self.unit)}{self.unit} {outcome}"
        )


def verdicts(record: Record, file: Path = TARGETS) -> list[Verdict]:
    """Hold what was measured against the targets; one of something that was not measured has no verdict.

    Raises:
        ValueError: the file holds something else than targets; the message says what.
    """
    document = tomllib.loads(file.read_text())
    needed = Needed(**document["judged"])
    return [
        verdict
        for target in document["target"]
        for verdict in _verdicts(record, _checked(target, file), needed)
    ]


def _checked(target: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    names = {figure.name for figures in FIGURES.values() for figure in figures}
    unknown = sorted((target.keys() - _KEYS) | (set(_listed(target.get("figure", ""))) - names))
    if unknown:
        raise ValueError(f"{file}: {', '.join(map(repr, unknown))} is neither a key nor a figure")
    if ("at_most" in target) == ("at_least" in target):
        raise ValueError(f"{file}: a target of {target['figure']} needs either at_most or at_least")
    return target


def _verdicts(record: Record, target: Mapping[str, Any], needed: Needed) -> Iterator[Verdict]:
    for figure, case in _matching(record, target):
        of = target.get("of")
        found = ratios(figure, record, case, of) if of else values(figure, record, case, OURS)
        spread = Spread.of(found.values())
        if spread is not None:
            yield Verdict(
                figure=figure.name,
                case=case,
                of=of,
                unit="" if of else figure.unit,
                value=spread.median,
                limit=target["at_least"] if "at_least" in target else target["at_most"],
                at_least="at_least" in target,
                lacking=needed.lacking(case, len(found), target.get("from", 0)),
            )


def _matching(record: Record, target: Mapping[str, Any]) -> Iterator[tuple[Figure, Case]]:
    for measurement in MEASUREMENTS:
        for figure in FIGURES[measurement]:
            if figure.name in _listed(target["figure"]):
                for case in record.cases(measurement):
                    if all(getattr(case, key) in _listed(target[key]) for key in _WHERE if key in target):
                        yield figure, case


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
