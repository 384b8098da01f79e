"""The page builder: whatever others have written is text, and no string ends a script."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("plotly", reason="the load group is not installed")

from tests.loadtests.pages import parsed

from loadtests.report import page
from loadtests.report.page import Note, embedded


def part(source: str, **values: object) -> str:
    """Render a template that uses the parts of all reports."""
    template = page._ENVIRONMENT.from_string('{% import "parts.html" as parts %}' + source)
    return template.render(values).strip()


TABLE = """{% call parts.table(about, titles) %}
{% for each in rows %}{{ parts.row(each, ours=each[0] == "us") }}{% endfor %}
{% endcall %}"""


def test_text_is_escaped() -> None:
    found = part(TABLE, about="<a>", titles=("b&",), rows=[["<i>"], [Note("<b>", "<u>", "failed")]])
    cells = parsed(found)
    assert not cells.unclosed
    assert cells.texts("th") == ["b&", "<i>", "✕ <b><u>"]
    assert cells.elements[0].attributes["aria-label"] == "<a>"


def test_columns_of_numbers_and_our_row_are_marked() -> None:
    found = parsed(part(TABLE, about="", titles="ab", rows=[["us", "1"], ["them", "2"]]))
    assert [each.attributes.get("class") for each in found.all("tr")] == [None, "ours", None]
    assert [each.attributes.get("class") for each in found.all("td")] == ["number", "number"]


@pytest.mark.parametrize("end", ["</script>", "</SCRIPT >", "<!--<script>"])
def test_data_cannot_end_its_element(end: str) -> None:
    found = parsed(part('<script type="application/json">{{ data | tojson }}</script>', data={"reason": end}))
    assert [json.loads(each.text) for each in found.elements] == [{"reason": end}]


def test_data_that_is_not_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        part("{{ data | tojson }}", data=float("nan"))


def test_a_script_is_not_ended_by_its_strings() -> None:
    found = parsed(f"<script>{embedded('''a = '</script>' + '</Script>' + (1</re/.x)''')}</script>")
    assert found.texts("script") == [r"a = '<\/script>' + '<\/Script>' + (1</re/.x)"]
