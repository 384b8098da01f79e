"""The page builder of all reports: the page around the sections, and the parts that sections are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # plotly ships no types

from loadtests.report.charts.chart import Chart
from loadtests.report.markup import Html, element, join, script

HERE: Final = Path(__file__).parent

NO_NETWORK: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""The page holds all it needs; this tells a browser to ask nobody for more."""

NO_SCRIPT: Final = (
    "The charts are drawn by JavaScript, which is off here; the tables and the JSON have the figures."
)

PASSED: Final = "passed"
FAILED: Final = "failed"
NOT_JUDGED: Final = "unjudged"
"""The states of a verdict; they are classes of the style sheet."""

_SIGNS: Final = {PASSED: "✓", FAILED: "✕", NOT_JUDGED: "○"}


@dataclass(frozen=True, slots=True)
class Tile:
    """A headline figure.

    Attributes:
        name: what it is.
        value: with its unit.
        broken: the rules it breaks; "" if it breaks none.
    """

    name: str
    value: str
    broken: str = ""


def state(passed: bool | None) -> str:  # noqa: FBT001 - a verdict is its argument
    """Return the state of a verdict: None was not judged."""
    return NOT_JUDGED if passed is None else PASSED if passed else FAILED


def document(title: str, head: Iterable[Html], sections: Iterable[Html | None], source: str) -> str:
    """Return a page.

    Args:
        title: of its tab.
        head: what stands above the sections.
        sections: the rest; None is left out.
        source: the file that has every number.
    """
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=NO_NETWORK),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", title),
            element("style", Html((HERE / "style.css").read_text())),
        ),
        element(
            "body",
            element("header", *head),
            element("main", element("noscript", element("p", NO_SCRIPT)), *filter(None, sections)),
            element(
                "footer", "Every number is in ", element("code", source), ". This page needs no network."
            ),
            script(get_plotlyjs()),
            script((HERE / "script.js").read_text()),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def title(words: str, verdict: Html) -> Html:
    """Return the page's name with its verdict."""
    return element("div", element("h1", words), verdict, class_="title")


def verdict(state: str, words: str) -> Html:
    """Return a verdict as a sign, words and a colour."""
    return element("span", f"{_SIGNS[state]} {words}", class_=f"verdict {state}")


def noted(text: str, note: str) -> Html:
    """Return text with a smaller note below it."""
    return join([text, element("span", note, class_="range")]) if note else join([text])


def section(heading: str, about: str, *parts: Html) -> Html:
    """Return a section; `about` says what is in it, and is left out if it is empty."""
    return element("section", element("h2", heading), *quiet(about), *parts)


def quiet(words: str) -> list[Html]:
    """Return a paragraph in small print; nothing for no words."""
    return [element("p", words, class_="quiet")] if words else []


def part(heading: str, *children: Html) -> Html:
    """Return a part of a section."""
    return element("div", element("h3", heading), *children)


def beside(*parts: Html) -> Html:
    """Return parts side by side, as many as fit."""
    return element("div", *parts, class_="beside")


def side_by_side(charts: Iterable[Chart]) -> Html:
    """Return charts, two in a line if there is room."""
    return element("div", *(chart.place() for chart in charts), class_="charts")


def tiles(found: Iterable[Tile]) -> Html:
    """Return headline figures; those that break a rule are marked."""
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", noted(tile.name, tile.broken)),
                element("dd", f"{_SIGNS[FAILED]} {tile.value}" if tile.broken else tile.value),
                class_=FAILED if tile.broken else None,
            )
            for tile in found
        ),
        class_="figures",
    )


def moment(when: str) -> str:
    """Return a moment in ISO 8601 for people."""
    return f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M:%S %Z}".strip()


def named(values: Mapping[str, object]) -> Html:
    """Return names and their values."""
    return element("dl", *(_pair(name, value) for name, value in values.items()), class_="named")


def _pair(name: str, value: object) -> Html:
    return join([element("dt", name), element("dd", "—" if value is None else str(value))])


def table(
    about: str, titles: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1, ours: str = ""
) -> Html:
    """Return a table, which scrolls inside itself, so that the page need not.

    Args:
        about: what it is, for those who cannot see it.
        titles: of the columns.
        rows: the cells, text or HTML.
        words: so many columns at the left hold words, the others numbers.
        ours: a row with such a cell stands out.
    """
    head = [_cell("th", titles, index, words, "col") for index in range(len(titles))]
    body = [
        element(
            "tr",
            _cell("th", row, 0, words, "row"),
            *(_cell("td", row, index, words) for index in range(1, len(row))),
            class_="ours" if ours and ours in row else None,
        )
        for row in rows
    ]
    return element(
        "div",
        element("table", element("thead", element("tr", *head)), element("tbody", *body)),
        class_="scroll",
        role="region",
        aria_label=about,
        tabindex=0,
    )


def _cell(name: str, row: Sequence[str], index: int, words: int, scope: str | None = None) -> Html:
    return element(name, row[index], class_="number" if index >= words else None, scope=scope)


def shares(about: str, title: str, counts: Mapping[str, int], meanings: Mapping[str, str]) -> Html:
    """Return how connections are split, each part with a bar.

    Args:
        about: what it is, for those who cannot see it.
        title: what the parts are.
        counts: how many each has.
        meanings: what the names of some parts mean.
    """
    whole = sum(counts.values()) or 1
    rows = [
        (
            noted(name, meanings.get(name, "")),
            element("div", class_="bar", style=f"width:{count / whole:.1%}"),
            f"{count:,}",
            f"{count / whole:.1%}",
        )
        for name, count in counts.items()
    ]
    return table(about, (title, "", "count", "share"), rows, words=2)
