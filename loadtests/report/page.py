"""What all reports are made of: charts, as plotly draws them, and a page that holds all that a browser needs."""

from __future__ import annotations

import html
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # plotly ships no types

from loadtests.common.units import shown

HERE: Final = Path(__file__).parent

STATES: Final = {True: "passed", False: "failed", None: "unjudged"}  # classes of the style sheet

JSON = dict[str, Any]
"""A part of a chart, in the words of plotly's figure reference."""

INK: Final = "var(--ink)"
QUIET: Final = "var(--quiet)"

SPECS: Final[dict[str, Any]] = tomllib.loads((HERE / "charts.toml").read_text())

_BETWEEN_TAGS: Final = re.compile(r">\s+<")
_END_OF_SCRIPT: Final = re.compile("</(?=script)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Note:
    """A cell of a table with a smaller note below its text; `state` makes it a verdict."""

    text: str
    note: str = ""
    state: str = ""


def render(title: str, template: str, source: str, **values: Any) -> str:
    """Return a page; `template`, filled with the values, is its body, and `source` the file that has every number."""
    body = _ENVIRONMENT.get_template(template).render(values)
    return _ENVIRONMENT.get_template("page.html").render(
        title=title,
        style=Markup((HERE / "style.css").read_text()),  # noqa: S704 - ours
        body=Markup(_BETWEEN_TAGS.sub("><", body)),  # noqa: S704 - escaped by its template
        source=source,
        scripts=[embedded(get_plotlyjs()), embedded((HERE / "script.js").read_text())],
    )


def embedded(script: str) -> Markup:
    """Return a script that no string in it can end."""
    # In a string `<\/` is `</`: the script is the same, and the parser of the page does not see its end.
    return Markup(_END_OF_SCRIPT.sub(r"<\\/", script))  # noqa: S704 - a script is not escaped


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart."""

    title: str  # what it shows
    about: str  # how to read it; "" if nothing needs saying
    height: int  # in CSS pixels
    traces: Sequence[JSON]  # the data
    layout: Mapping[str, Any]  # what differs from the layout of all charts

    def figure(self) -> JSON:
        """Return the chart for plotly; the page's script adds the look of all charts."""
        return {"traces": self.traces, "layout": {"showlegend": len(self.traces) > 1, **self.layout}}


def scatter(name: str, look: str, x: Sequence[float], y: Sequence[float | None], **more: Any) -> JSON:
    """Return points and the line between them; a point is seen if there are few of them, or if `mode` says so."""
    colour, dash, symbol = SPECS["looks"][look]
    return {
        "type": "scatter",
        "mode": "lines" if len(x) > 2 else "lines+markers",
        "name": label(name),
        "x": [rounded(each) for each in x],
        "y": [rounded(each) for each in y],
        "line": {"color": colour, "dash": dash, "width": 2},
        "marker": {"color": colour, "symbol": symbol, "size": 7},
        **more,
    }


def vertical(at: float, colour: str) -> JSON:
    """Return a dotted line from the bottom of a chart to its top."""
    return {**SPECS["vertical"], "x0": at, "x1": at, "line": {"color": colour, "width": 1.5, "dash": "dot"}}


def label(text: str) -> str:
    """Return text as plotly shows it: it takes labels for HTML."""
    return html.escape(text, quote=False)


def rounded(value: float | None) -> float | None:
    """Return four digits that count: more cannot be seen in a chart, and a page has thousands."""
    return None if value is None else float(f"{value:.4g}")


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals |= {"Note": Note, "STATES": STATES}
_ENVIRONMENT.filters |= {
    "shown": lambda value, unit: "—" if value is None else shown(value, unit),
    "grouped": "{:,}".format,
    "moment": lambda when: f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M:%S %Z}".strip(),
}
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
