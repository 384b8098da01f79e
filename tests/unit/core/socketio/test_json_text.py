"""JSON that is cut into pieces as its sender has written it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memmie_gateway.core.socketio.json_text import JsonError, array, decode, members

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_items_stay_as_they_are_written() -> None:
    assert [piece.text for piece in array(' [ 1.10 , "\\u00e9",{"a" : [1,2] } ] ')] == [
        "1.10",
        '"\\u00e9"',
        '{"a" : [1,2] }',
    ]
    assert [piece.text for piece in array("[1,2]")] == ["1", "2"]
    assert array("[]") == array(" [ ] ") == []


def test_members_stay_as_they_are_written() -> None:
    found = members(' { "id" : "1" , "d\\u0061ta":{"n":1e2} , "id":2 } ')
    assert {name: piece.text for name, piece in found.items()} == {"id": "2", "data": '{"n":1e2}'}
    assert found["data"].value == {"n": 100.0}
    assert members("{}") == members(" { } ") == {}


@given(st.lists(JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_it_reads_what_json_reads(items: list[object], named: dict[str, object]) -> None:
    for written in ({"indent": 1}, {}, {"separators": (",", ":")}):
        in_array, in_object = json.dumps(items, **written), json.dumps(named, **written)
        assert [piece.value for piece in array(in_array)] == items
        assert {name: piece.value for name, piece in members(in_object).items()} == named


NO_ARRAYS = ["", "{}", "1", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[]]", "[1]x", "[NaN]", "[-Infinity]"]
NO_ARRAYS += ["[01]", '["\n"]', '["a]', "[\u00a01]", "[1\x00]", "[" + "9" * 5000 + "]"]

NO_OBJECTS = ["", "[]", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{a:1}", '{"a" 1}', '{"a":1}}']
NO_OBJECTS += ['{"a:1}', "{1:1}", '{"a":NaN}', '{"a":1 "b":2}']


@pytest.mark.parametrize("text", NO_ARRAYS)
def test_what_is_not_an_array_is_refused(text: str) -> None:
    with pytest.raises(JsonError):
        array(text)


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_what_is_not_an_object_is_refused(text: str) -> None:
    with pytest.raises(JsonError):
        members(text)


def test_what_is_nested_too_deeply_is_refused() -> None:
    for read in (array, decode):
        with pytest.raises(JsonError, match="nested too deeply"):
            read("[" * 100_000)


def test_a_whole_text_is_decoded() -> None:
    assert decode(' {"a":1.5} ') == {"a": 1.5}
    for text in ("", "{", "1 2", "NaN", "9" * 5000):
        with pytest.raises(JsonError):
            decode(text)
