"""Targets: what the gateway may cost at most (`targets.toml`), and a verdict on each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.analysis.cells import Cell
from loadtests.analysis.measurements import MEASUREMENTS, Case, Figure
from loadtests.peers.peer import OURS

TARGETS: Final = Path(__file__).with_name("targets.toml")

_WHERE: Final = ("connections", "size", "rate")
_KEYS: Final = {"figure", "of", "at_most", "at_least", "from", *_WHERE}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one target."""

    figure: Figure
    case: Case
    of: str | None  # the peer that ours is divided by; None for the number itself
    value: float  # the median
    limit: float  # that the value is compared with
    at_least: bool  # whether the value must reach the limit, instead of staying within it
    lacking: str  # what there is too little of to judge; "" if there is enough

    @property
    def unit(self) -> str:
        """The unit of value and limit; "" for a ratio."""
        return "" if self.of else self.figure.unit

    @property
    def measured(self) -> str:
        """The value with its unit."""
        return f"{self.value:,.4g} {self.unit}".rstrip()

    @property
    def rule(self) -> str:
        """What must hold, in words."""
        of = f"÷ {self.of} " if self.of else ""
        return (
            f"{of}must be {'at least' if self.at_least else 'at most'} {self.limit:,.4g} {self.unit}".rstrip()
        )

    @property
    def held(self) -> bool | None:
        """Whether the target holds; None if too little was measured to say."""
        return None if self.lacking else self._within

    @property
    def _within(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        more = {"figure": self.figure.name, "unit": self.unit, "held": self.held}
        return asdict(self) | more

    def __str__(self) -> str:
        """Return it as a line."""
        what = f"{self.figure.name} {self.case}" + (f", {OURS} ÷ {self.of}" if self.of else "")
        sign = ("≥" if self.at_least else "≤") if self._within else ("<" if self.at_least else ">")
        outcome = "held" if self._within else f"missed by {abs(self.value - self.limit):,.4g}"
        if self.lacking:
            outcome = f"not judged ({self.lacking})"
        return f"{what}: {self.value:,.4g} {sign} {f'{self.limit:,.4g} {self.unit}'.rstrip()} {outcome}"


def verdicts(cells: Sequence[Cell], file: Path = TARGETS) -> list[Verdict]:
    """Compare what was measured with the targets; a target about something else has no verdict.

    Raises:
        ValueError: the file holds something other than targets; the message says what.
    """
    document = tomllib.loads(file.read_text())
    found = []
    for target in document["target"]:
        _check(target, file)
        of = target.get("of")
        for cell in cells:
            spread = cell.ratio if of else cell.spread
            if spread and cell.peer == (of or OURS) and _is_about(target, cell):
                rounds = len(cell.ratios if of else cell.values)
                found.append(
                    Verdict(
                        figure=cell.figure,
                        case=cell.case,
                        of=of,
                        value=spread.median,
                        limit=target.get("at_least", target.get("at_most")),
                        at_least="at_least" in target,
                        lacking=_lacking(cell.case, rounds, document["judged"], target.get("from", 0)),
                    )
                )
    return found


def _check(target: Mapping[str, Any], file: Path) -> None:
    names = {figure.name for measurement in MEASUREMENTS.values() for figure in measurement.figures}
    unknown = sorted((target.keys() - _KEYS) | (set(_listed(target.get("figure", ""))) - names))
    if unknown:
        raise ValueError(f"{file}: {', '.join(map(repr, unknown))} is neither a key nor a figure")
    if ("at_most" in target) == ("at_least" in target):
        raise ValueError(f"{file}: a target of {target['figure']} needs either at_most or at_least")


def _is_about(target: Mapping[str, Any], cell: Cell) -> bool:
    return cell.figure.name in _listed(target["figure"]) and all(
        getattr(cell.case, key) in _listed(target[key]) for key in _WHERE if key in target
    )


def _lacking(case: Case, rounds: int, needed: Mapping[str, float], connections: int) -> str:
    """Return what there is too little of to judge; "" if there is enough."""
    seconds = needed["seconds"]
    found = (
        ("rounds", rounds, 1 if MEASUREMENTS[case.measurement].once else needed["rounds"]),
        ("seconds", seconds if case.seconds is None else case.seconds, seconds),
        ("connections", case.connections, connections),
    )
    return ", ".join(f"{what}: {has:g} of {least:g}" for what, has, least in found if has < least)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
