"""The page builder of all reports: it fills a template with values, and puts all that a browser needs around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # plotly ships no types

from loadtests.common.units import shown

HERE: Final = Path(__file__).parent

STATES: Final = {True: "passed", False: "failed", None: "unjudged"}
"""The state of a verdict, a class of the style sheet."""

_BETWEEN_TAGS: Final = re.compile(r">\s+<")
_END_OF_SCRIPT: Final = re.compile("</(?=script)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Note:
    """A cell of a table with a smaller note below its text; `state` makes it a verdict."""

    text: str
    note: str = ""
    state: str = ""


def render(title: str, template: str, source: str, **values: Any) -> str:
    """Return a page.

    Args:
        title: of its tab.
        template: of what is between head and foot.
        source: the file that has every number.
        values: of the template.
    """
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
