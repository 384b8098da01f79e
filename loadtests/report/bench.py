"""The page of the peers benchmark: what ours is of theirs first, then what each costs, then every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.benchmark.cases import Case
from loadtests.peers.catalogue import OURS
from loadtests.report.charts import peers
from loadtests.report.charts.chart import Chart
from loadtests.report.layout import (
    beside,
    document,
    figures,
    moment,
    named,
    part,
    save,
    section,
    side_by_side,
    title,
    verdict,
)
from loadtests.report.looks import LOOKS, Look, look_of
from loadtests.report.markup import Html, element, join
from loadtests.report.measurement import measurement
from loadtests.report.results import Cell, by_case, cells, described
from loadtests.report.tables import table


def write(results: Mapping[str, Any], path: Path) -> None:
    """Write the page of a benchmark's JSON.

    Raises:
        OSError: it cannot be written.
    """
    save(page(results), path)


def page(results: Mapping[str, Any]) -> str:
    """Return the page of a benchmark's JSON."""
    found = cells(results)
    measured = dict.fromkeys(cell.case.measurement for cell in found)
    parts = [
        _care(results, found),
        _ratios(found),
        _targets(results.get("targets", [])),
        *(measurement(name, [cell for cell in found if cell.case.measurement == name]) for name in measured),
        _room(results.get("room", [])),
        _problems(results.get("problems", [])),
        _circumstances(results),
    ]
    return document(
        "Peers benchmark",
        _head(results, found),
        [part for part in parts if part is not None],
        "the JSON of the run",
    )


def _head(results: Mapping[str, Any], found: Sequence[Cell]) -> list[Html]:
    targets, problems = results.get("targets", []), results.get("problems", [])
    judged = [target["held"] for target in targets if target["held"] is not None]
    missed = judged.count(False)
    good = f"targets held: {len(judged)}" if judged else "all measured"
    if unjudged := len(targets) - len(judged):
        good += f", targets not judged: {unjudged}"
    bad = [f"targets missed: {missed} of {len(judged)}"] if missed else []
    bad += [f"measurements failed: {len(problems)}"] if problems else []
    headlines = [
        (_named(cell.figure, cell.case), f"{cell.median} {cell.unit}")
        for cell in found
        if cell.peer == OURS and cell.figure in look_of(cell.case.measurement).headline
    ]
    return [
        title("Peers benchmark", verdict(not bad, good, ", ".join(bad))),
        element("p", "What the gateway costs beside what else a user would pick: the same load, echo backend and machine, in turn."),
        element("p", f"{moment(results['started'])}, {_rounds(found)}", class_="quiet"),
        figures(headlines),
    ]  # fmt: skip


def _rounds(found: Sequence[Cell]) -> str:
    rounds = max((cell.rounds for cell in found), default=0)
    return "1 round" if rounds == 1 else f"{rounds} rounds"


def _care(results: Mapping[str, Any], found: Sequence[Cell]) -> Html | None:
    """Return what stands in the way of believing the numbers; none where nothing does."""
    lines = [*results.get("noise", [])]
    if max((cell.rounds for cell in found), default=0) == 1:
        lines.append("One round: how far the numbers vary is not known.")
    lines += [
        f"{peer} was not measured, as it is not installed: {how}"
        for peer, how in results.get("skipped", {}).items()
    ]
    return (
        section("Read with care", "", element("ul", *(element("li", line) for line in lines)))
        if lines
        else None
    )


def _named(figure: str, case: Case) -> str:
    return f"{look_of(case.measurement).drawn.get(figure, figure)}: {described(case)}"


def _ratios(found: Sequence[Cell]) -> Html | None:
    charts = [chart for name, look in LOOKS.items() for chart in _ratio(name, look, found)]
    if not charts:
        return None
    return section(
        f"{OURS} ÷ peer",
        "Each round against the same round of the peer: the median, from the least to the most. "
        "Left of the line at 1 ours costs less.",
        side_by_side(charts),
    )


def _ratio(name: str, look: Look, found: Sequence[Cell]) -> list[Chart]:
    """Return the ratios of a measurement's charts, with a series for each figure and case; none without any."""
    of_it = [
        cell for cell in found if cell.case.measurement == name and cell.figure in look.drawn and cell.ratio
    ]
    several_cases = len(by_case(of_it)) > 1
    several_figures = len({cell.figure for cell in of_it}) > 1
    series: dict[str, list[Cell]] = {}
    for cell in of_it:
        words = [look.drawn[cell.figure]] * several_figures + [str(cell.case)] * several_cases
        series.setdefault(", ".join(words) or look.drawn[cell.figure], []).append(cell)
    return [peers.ratios(look.heading, "", list(series.items()))] if series else []  # fmt: skip


def _targets(targets: Sequence[Mapping[str, Any]]) -> Html | None:
    if not targets:
        return None
    rows = []
    for target in targets:
        of = f", {OURS} ÷ {target['of']}" if target["of"] else ""
        rule = f"must be {'at least' if target['at_least'] else 'at most'} {target['limit']:,.4g} {target['unit']}"
        rows.append(
            (
                join([f"{_named(target['figure'], Case(**target['case']))}{of}", element("span", f"{rule}", class_="range")]),
                f"{target['value']:,.3g} {target['unit']}",
                _outcome(target),
            )
        )  # fmt: skip
    return section("Targets", "", table("Targets", ("figure", "is", "verdict"), rows))


def _outcome(target: Mapping[str, Any]) -> Html:
    if target["held"] is None:
        return join(
            [
                element("span", "not judged", class_="verdict"),
                element("span", target["lacking"], class_="range"),
            ]
        )
    return verdict(target["held"], "held", "missed")


def _room(lines: Sequence[str]) -> Html | None:
    if not lines:
        return None
    return section("What stops the next thousand connections", "", *(element("p", line) for line in lines))


def _problems(problems: Sequence[str]) -> Html | None:
    if not problems:
        return None
    return section("Measurements without a result", "", *(element("pre", problem) for problem in problems))


def _circumstances(results: Mapping[str, Any]) -> Html:
    cores = {who: ", ".join(map(str, which)) if which else "any" for who, which in results["cores"].items()}
    return section(
        "Measured with",
        "",
        element("pre", "\n".join(results.get("commands", []))),
        beside(
            part("Peers", named(results["peers"])),
            part("Versions", named(results.get("versions", {}))),
            part("Machine", named(results["machine"])),
            part("Cores", named(cores)),
        ),
    )
