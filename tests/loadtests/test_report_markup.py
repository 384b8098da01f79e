"""HTML out of strings: only what is marked as HTML is HTML."""

from __future__ import annotations

import json

import pytest
from tests.loadtests.pages import parsed

from loadtests.report.markup import Html, data, element, join, script


def test_text_is_escaped_and_html_is_not() -> None:
    assert element("p", "1 < 2 & 3", Html("<b>4</b>")) == "<p>1 &lt; 2 &amp; 3<b>4</b></p>"
    assert join(["<", Html("<i></i>")], "&") == "&lt;&amp;<i></i>"


def test_attributes_are_escaped_named_and_left_out() -> None:
    assert (
        element("td", class_='"x"', aria_label="a", hidden=True, title=None, scope=False)
        == '<td class="&quot;x&quot;" aria-label="a" hidden></td>'
    )


def test_a_void_element_has_no_end() -> None:
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


@pytest.mark.parametrize("end", ["</script>", "</SCRIPT >", "<!--<script>"])
def test_data_cannot_end_its_element(end: str) -> None:
    found = parsed(data({"reason": end}))
    assert [json.loads(each.text) for each in found.elements] == [{"reason": end}]


def test_a_script_is_not_ended_by_its_strings() -> None:
    found = parsed(script("'</script>' + '</Script>' + (1</re/.x)"))
    assert found.texts("script") == [r"'<\/script>' + '<\/Script>' + (1</re/.x)"]
