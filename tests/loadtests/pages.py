"""A page as a browser takes it apart, for tests of the reports."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Page:
    elements: list[Element] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def texts(self, tag: str) -> list[str]:
        return [element.text for element in self.all(tag)]

    @property
    def scripts(self) -> list[Element]:
        return [script for script in self.all("script") if script.attributes.get("type") is None]

    @property
    def figures(self) -> list[dict[str, Any]]:
        """What plotly is told, chart by chart."""
        return [
            json.loads(script.text)
            for script in self.all("script")
            if script.attributes.get("type") is not None
        ]


def parsed(page: str) -> Page:
    """Take a page apart; an end tag without its start fails."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    return Page(parser.elements, [element.tag for element in parser.opened])


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.opened: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self.opened.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.opened:
            element.text += data
