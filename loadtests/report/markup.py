"""HTML out of strings: whatever is not marked as HTML is text, and is escaped."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any, Final

VOID: Final = frozenset({"meta"})
"""Elements that have no end tag."""

_END_OF_SCRIPT: Final = re.compile("</(?=script)", re.IGNORECASE)
_ESCAPED_END: Final = r"<\\/"


class Html(str):
    """A string that is HTML already."""

    __slots__ = ()


Attribute = str | int | bool | None
"""None and False leave an attribute out, True gives it no value."""


def element(name: str, /, *children: str, **attributes: Attribute) -> Html:
    """Return an element.

    Args:
        name: of the tag.
        children: text, which is escaped, and HTML, which is not.
        attributes: `class_` stands for `class`, and `aria_label` for `aria-label`.
    """
    start = "".join([name, *(_attribute(key, value) for key, value in attributes.items())])
    if name in VOID:
        return Html(f"<{start}>")
    return Html(f"<{start}>{join(children)}</{name}>")


def join(parts: Iterable[str], between: str = "") -> Html:
    """Return text and HTML one after the other."""
    return Html(escaped(between).join(map(escaped, parts)))


def escaped(text: str) -> Html:
    """Return text as HTML that shows it; HTML as it is."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def script(source: str) -> Html:
    """Return a script that holds `source`, whatever its strings say."""
    # In a string `\\/` is `/`: the script is the same, and the parser of the page does not see its end.
    return Html(f"<script>{_END_OF_SCRIPT.sub(_ESCAPED_END, source)}</script>")


def data(document: Any, **attributes: Attribute) -> Html:
    """Return JSON for a script of the page to read; no string in it can end the element."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return element("script", Html(text), type="application/json", **attributes)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    key = name.rstrip("_").replace("_", "-")
    return f" {key}" if value is True else f' {key}="{html.escape(str(value))}"'
