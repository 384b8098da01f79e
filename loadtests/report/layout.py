"""What all reports look like: the page around the sections, and the parts that sections are made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
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
"""The page holds all it needs; a browser is told to ask nobody for more."""

NO_SCRIPT: Final = (
    "The charts are drawn by JavaScript, which is off here; the tables and the JSON have the figures."
)


def document(title: str, head: Iterable[Html], sections: Iterable[Html], source: str) -> str:
    """Return a page.

    Args:
        title: of its tab.
        head: what stands above the sections.
        sections: the rest.
        source: which file has all numbers.
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
            element("main", element("noscript", element("p", NO_SCRIPT)), *sections),
            element("footer", "Every number is in ", element("code", source), ". This page asks no network for anything."),
            script(get_plotlyjs()),
            script((HERE / "script.js").read_text()),
        ),
        lang="en",
    )  # fmt: skip
    return f"<!doctype html>\n{page}\n"


def save(page: str, path: Path) -> None:
    """Write a page, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def title(words: str, verdict: Html) -> Html:
    """Return the page's name with its verdict."""
    return element("div", element("h1", words), verdict, class_="title")


def verdict(passed: bool, good: str = "passed", bad: str = "failed") -> Html:  # noqa: FBT001 - a verdict is its argument
    """Return whether something passed, as a sign and a word."""
    return (
        element("span", f"✓ {good}", class_="verdict passed")
        if passed
        else element("span", f"✕ {bad}", class_="verdict failed")
    )


def section(heading: str, about: str, *parts: Html) -> Html:
    """Return a section; `about` says what is in it, and is left out where it is empty."""
    return element("section", element("h2", heading), *_about(about), *parts)


def _about(words: str) -> list[Html]:
    return [element("p", words, class_="quiet")] if words else []


def part(heading: str, *children: Html) -> Html:
    """Return a part of a section."""
    return element("div", element("h3", heading), *children)


def beside(*parts: Html) -> Html:
    """Return parts side by side, as many as fit."""
    return element("div", *parts, class_="beside")


def side_by_side(charts: Iterable[Chart]) -> Html:
    """Return charts, two in a line where there is room."""
    return element("div", *(chart.place() for chart in charts), class_="charts")


def figures(rows: Iterable[tuple[str, str]]) -> Html:
    """Return headline figures: name and value of each."""
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows), class_="figures")  # fmt: skip


def moment(when: str) -> str:
    """Return a moment in ISO 8601 for people."""
    return f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M:%S %Z}".strip()


def named(values: Mapping[str, object]) -> Html:
    """Return names and their values."""
    return element("dl", *(_pair(name, value) for name, value in values.items()), class_="named")


def _pair(name: str, value: object) -> Html:
    return join([element("dt", name), element("dd", "—" if value is None else str(value))])
