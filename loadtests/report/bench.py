"""The page of the peers benchmark: ours beside theirs first, then what each costs, then every number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from loadtests.analysis.cells import Cell, cells
from loadtests.analysis.headroom import headroom
from loadtests.analysis.measurements import MEASUREMENTS, Case
from loadtests.analysis.noise import noise
from loadtests.analysis.record import Record
from loadtests.analysis.targets import Verdict, verdicts
from loadtests.common.files import write_whole
from loadtests.peers.catalogue import OURS
from loadtests.report import layout as ui
from loadtests.report.charts import peers
from loadtests.report.charts.chart import Chart
from loadtests.report.markup import Html, element

ABOUT: Final = (
    "What the gateway costs beside a user's other choices: the same load, echo backend and machine, in turn."
)

WHISKERS: Final = (
    "The bar is the median of the rounds, the whisker goes from the least to the most. Less is better."
)

WORDS: Final = {True: "held", False: "missed", None: "not judged"}


def write(record: Record, path: Path) -> None:
    """Write the page of a benchmark.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, page(record))


def page(record: Record) -> str:
    """Return the page of a benchmark."""
    found = cells(record)
    outcome = verdicts(found)
    rounds = max((len(cell.values) for cell in found), default=0)
    version = record.versions.get(OURS)
    name = f"memmie-gateway {version}: peers benchmark" if version else "Peers benchmark"
    head = [
        ui.title(name, _verdict(outcome, record.problems)),
        element("p", ABOUT),
        *ui.quiet(f"{ui.moment(record.started)}, {rounds} {'round' if rounds == 1 else 'rounds'}"),
        ui.tiles(_tiles(found, outcome)),
    ]
    sections = [
        _care(record, rounds),
        _ratios(found),
        _targets(outcome),
        *(
            _measurement(name, [cell for cell in found if cell.case.measurement == name])
            for name in MEASUREMENTS
        ),
        _lines("What stops the next thousand connections", "p", headroom(record)),
        _lines("Measurements without a result", "pre", record.problems),
        _circumstances(record),
    ]
    return ui.document(name, head, sections, "the JSON of the run")


def _verdict(outcome: Sequence[Verdict], problems: Sequence[str]) -> Html:
    judged = [each.held for each in outcome if each.held is not None]
    missed = judged.count(False)
    good = f"targets held: {len(judged)}" if judged else "all measured"
    if unjudged := len(outcome) - len(judged):
        good += f", targets not judged: {unjudged}"
    bad = [f"targets missed: {missed} of {len(judged)}"] if missed else []
    bad += [f"measurements failed: {len(problems)}"] if problems else []
    return ui.verdict(ui.FAILED, ", ".join(bad)) if bad else ui.verdict(ui.PASSED, good)


def _tiles(found: Sequence[Cell], outcome: Sequence[Verdict]) -> Iterator[ui.Tile]:
    """Return our headline figures, each with the targets that it misses."""
    for cell in found:
        if cell.peer == OURS and cell.figure.headline:
            missed = [
                _rule(each)
                for each in outcome
                if each.held is False and (each.figure, each.case) == (cell.figure, cell.case)
            ]
            name = f"{cell.figure.chart}: {cell.case.described}"
            yield ui.Tile(name, f"{cell.median} {cell.figure.unit}".strip(), "; ".join(missed))


def _rule(target: Verdict) -> str:
    of = f"÷ {target.of} " if target.of else ""
    limit = f"{target.limit:,.4g} {target.unit}".strip()
    return f"{of}must be {'at least' if target.at_least else 'at most'} {limit}"


def _care(record: Record, rounds: int) -> Html | None:
    """Return what speaks against the numbers; None if nothing does."""
    lines = noise(record)
    if rounds == 1:
        lines.append("One round: how far the numbers vary is not known.")
    lines += [
        f"{peer} was not measured, as it is not installed: {how}" for peer, how in record.skipped.items()
    ]
    items = [element("li", line) for line in lines]
    return ui.section("Read with care", "", element("ul", *items)) if items else None


def _ratios(found: Sequence[Cell]) -> Html | None:
    drawn = [cell for cell in found if cell.figure.chart and cell.ratio]
    charts = [
        _ratio(measurement.title, of_it)
        for name, measurement in MEASUREMENTS.items()
        if (of_it := [cell for cell in drawn if cell.case.measurement == name])
    ]
    if not charts:
        return None
    return ui.section(
        f"{OURS} ÷ peer",
        "Each round against the same round of the peer: the median, from the least to the most. "
        "Left of the line at 1 ours costs less.",
        ui.side_by_side(charts),
    )


def _ratio(heading: str, found: Sequence[Cell]) -> Chart:
    """Return a chart with a series for each figure and case that a measurement has a ratio of."""
    several_cases = len({cell.case for cell in found}) > 1
    several_figures = len({cell.figure for cell in found}) > 1
    series: dict[str, list[Cell]] = {}
    for cell in found:
        words = [cell.figure.chart] * several_figures + [str(cell.case)] * several_cases
        series.setdefault(", ".join(words) or cell.figure.chart, []).append(cell)
    return peers.ratios(_capital(heading), series)


def _targets(outcome: Sequence[Verdict]) -> Html | None:
    if not outcome:
        return None
    rows = [
        (
            ui.noted(f"{each.figure.chart or each.figure.title}: {each.case.described}", _rule(each)),
            f"{each.value:,.3g} {each.unit}".strip(),
            ui.noted(ui.verdict(ui.state(each.held), WORDS[each.held]), each.lacking),
        )
        for each in outcome
    ]
    return ui.section("Targets", "", ui.table("Targets", ("figure", "is", "verdict"), rows))


def _measurement(name: str, found: Sequence[Cell]) -> Html | None:
    """Return the section of a measurement: a chart for each figure that has one, and a table for each case."""
    if not found:
        return None
    measurement = MEASUREMENTS[name]
    by_case: dict[Case, list[Cell]] = {}
    for cell in found:
        by_case.setdefault(cell.case, []).append(cell)
    charts = [
        peers.bars(f"{figure.chart}: {case.described}", drawn)
        for case, of_case in by_case.items()
        for figure in measurement.figures
        if figure.chart and (drawn := [cell for cell in of_case if cell.figure is figure])
    ]
    return ui.section(
        _capital(measurement.title),
        measurement.about,
        *([*ui.quiet(WHISKERS), ui.side_by_side(charts)] if charts else []),
        *(_table(case, of_case) for case, of_case in by_case.items()),
    )


def _table(case: Case, found: Sequence[Cell]) -> Html:
    titles = [
        figure.title
        for figure in MEASUREMENTS[case.measurement].figures
        if any(cell.figure is figure for cell in found)
    ]
    rows: dict[str, dict[str, Html]] = {}
    for cell in found:
        shown = ui.noted(cell.median, cell.spread.extent(cell.figure.decimals))
        rows.setdefault(cell.called, {})[cell.figure.title] = shown
    lines = [(peer, *(row.get(each, "—") for each in titles)) for peer, row in rows.items()]
    about = f"{MEASUREMENTS[case.measurement].title}, {case.described}"
    return ui.part(case.described, ui.table(about, ("peer", *titles), lines, ours=OURS))


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _lines(heading: str, tag: str, lines: Iterable[str]) -> Html | None:
    parts = [element(tag, line) for line in lines]
    return ui.section(heading, "", *parts) if parts else None


def _circumstances(record: Record) -> Html:
    sides = {"gateway": record.cores.gateway, "load": record.cores.load}
    cores = {side: ", ".join(map(str, sorted(which))) if which else "any" for side, which in sides.items()}
    return ui.section(
        "Measured with",
        "",
        element("pre", "\n".join(record.commands)),
        ui.beside(
            ui.part("Peers", ui.named(record.peers)),
            ui.part("Versions", ui.named(record.versions)),
            ui.part("Machine", ui.named(record.machine)),
            ui.part("Cores", ui.named(cores)),
        ),
    )
