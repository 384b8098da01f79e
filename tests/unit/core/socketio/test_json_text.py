"""JSON that is cut into pieces as its sender has written it, and read in slices if it is large."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.socketio.reading import read

from memmie_gateway.core.socketio import json_text
from memmie_gateway.core.socketio.json_text import (
    DEEPEST,
    WINDOW,
    JsonError,
    Piece,
    array,
    member,
    members,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

STYLES: tuple[dict[str, Any], ...] = ({"indent": 1}, {}, {"separators": (",", ":")})


def items(text: str, most: int = 10) -> list[Piece]:
    return read(array(text, most))


def everything(text: str) -> dict[str, Piece]:
    names = [name for name, _ in json.loads(text, object_pairs_hook=list)]
    return read(members(text, names))


def test_items_stay_as_they_are_written() -> None:
    assert [piece.text for piece in items(' [ 1.10 , "\\u00e9",{"a" : [1,2] } ] ')] == [
        "1.10",
        '"\\u00e9"',
        '{"a" : [1,2] }',
    ]
    assert [piece.text for piece in items("[1,2]")] == ["1", "2"]
    assert items("[]") == items(" [ ] ") == []


def test_an_array_is_read_up_to_the_first_item_too_many() -> None:
    assert [piece.text for piece in items("[1,2,3,x", most=2)] == ["1", "2", "3"]


def test_members_stay_as_they_are_written() -> None:
    found = everything(' { "id" : "1" , "d\\u0061ta":{"n":1e2} , "id":2 } ')
    assert {name: piece.text for name, piece in found.items()} == {"id": "2", "data": '{"n":1e2}'}
    assert found["data"].value == {"n": 100.0}
    assert everything("{}") == everything(" { } ") == {}
    assert list(read(members('{"a":1,"b":2}', ("b", "c")))) == ["b"]


@given(st.lists(JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_it_reads_what_json_reads(values: list[object], named: dict[str, object]) -> None:
    for written in STYLES:
        in_array, in_object = json.dumps(values, **written), json.dumps(named, **written)
        assert [piece.value for piece in items(in_array)] == values
        assert {name: piece.value for name, piece in everything(in_object).items()} == named


NO_ARRAYS = ["", "{}", "1", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[]]", "[1]x", "[NaN]", "[-Infinity]"]
NO_ARRAYS += ["[01]", '["\n"]', '["a]', "[\u00a01]", "[1\x00]", "[" + "9" * 5000 + "]"]

NO_OBJECTS = ["", "[]", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{a:1}", '{"a" 1}', '{"a":1}}']
NO_OBJECTS += ['{"a:1}', "{1:1}", '{"a":NaN}', '{"a":1 "b":2}', "{}}"]


@pytest.mark.parametrize("text", NO_ARRAYS)
def test_what_is_not_an_array_is_refused(text: str) -> None:
    with pytest.raises(JsonError):
        items(text)


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_what_is_not_an_object_is_refused(text: str) -> None:
    for slices in (members(text, ("a",)), member(text, "a")):
        with pytest.raises(JsonError):
            read(slices)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep = "[" * (DEEPEST + 10)
    for text in ("[" * 5000, "[" * 100_000, f"{deep}{'1,' * WINDOW}", f"[[{'1,' * 40}{deep}{'1,' * WINDOW}"):
        with pytest.raises(JsonError, match="nested too deeply"):
            items(text)


@pytest.mark.parametrize("blanks", ["", " " * WINDOW])
def test_one_member_is_read(blanks: str) -> None:
    assert read(member(f' {{"a":1.5,{blanks}"b":null}} ', "a")) == 1.5
    assert read(member(f'{{"a":1.5,{blanks}"b":null}}', "b")) is None
    assert read(member(f'{{"a":1.5{blanks}}}', "c")) is None
    for text in ("[]", "{", '{"a":1} 2', "9" * 5000):
        with pytest.raises(JsonError):
            read(member(f"{text}{blanks}", "a"))


# Texts that are longer than a window.

PARTS = re.compile(r"""[\[\]{}:,]|"(?:[^"\\]|\\.)*"|[^\[\]{}:,"]+""")
"""Brackets, marks, strings, and what is between them."""


@st.composite
def almost_json(draw: st.DrawFn) -> str:
    """Draw a JSON text in which perhaps a part is missing, or is there twice or in another place."""
    text = json.dumps(draw(st.lists(JSON, max_size=6)), **draw(st.sampled_from(STYLES)))
    parts = PARTS.findall(text)
    at, change = draw(st.integers(0, len(parts) - 1)), draw(st.integers(0, 5))
    if change == 1:
        del parts[at]
    elif change == 2:
        parts.insert(draw(st.integers(0, len(parts))), parts[at])
    elif change == 3:
        parts[at] = draw(st.sampled_from([" ", "NaN", "1e", "-", "]", "}", ",", "[", "{", '"']))
    return "".join(parts)


@given(almost_json(), st.sampled_from([4, 5, 7, 12, 30]), st.sampled_from([1, 1, 2, 32]))
def test_windows_make_no_difference(text: str, window: int, patience: int) -> None:
    """Whatever their size is, the same texts are read, and cut at the same places."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_text, "WINDOW", 1 << 20)
        whole: list[str] | None
        try:
            whole = [piece.text for piece in items(text)]
        except JsonError:
            whole = None
        patched.setattr(json_text, "WINDOW", window)
        patched.setattr(json_text, "_PATIENCE", patience)
        if whole is None:
            with pytest.raises(JsonError):
                items(text)
        else:
            assert [piece.text for piece in items(text)] == whole


@pytest.mark.parametrize(
    "text",
    [
        "[[1,2]" + " " * 20 + "]",
        "[[" + " " * 20 + "]]",
        '{"a":{"b":[1,2,3,4,5,6,7,8,9]},"c":{"d":1,"e":2,"f":3,"g":4}}',
        '[{"a":1},{"a":2},{"a":[3,{"a":4},{"a":5}]},{"a":6}]',
        '["' + "x" * 50 + '",1]',
        "[[12345678e+10,12345678e-10,12345678.5,[1],[2],[3]],5]",
        "[[1],[2],[3],4,5,6,[7],8]",
        "[1,12345678e+10,-2]",
        '[[1,{"a":2},"x,y]z",[3,"{\\",,"],"u,v",4],5]',
    ],
)
def test_large_texts_are_read_in_slices(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of_array = text.startswith("[")
    for window in range(4, 40):
        monkeypatch.setattr(json_text, "WINDOW", window)
        monkeypatch.setattr(json_text, "_PATIENCE", 1 + window % 2)
        pieces = items(text) if of_array else list(everything(text).values())
        values = json.loads(text) if of_array else list(json.loads(text).values())
        assert [json.loads(piece.text) for piece in pieces] == values
        assert [piece.value for piece in pieces if piece.value is not ...] == [
            value for value, piece in zip(values, pieces, strict=True) if piece.value is not ...
        ]


@pytest.mark.parametrize(
    "text",
    [
        "[[1,2,3,4,5}]",
        "[[1,2,[3,4],{5],6]]",
        "[[1,2,],3,4]",
        "[[1,2,[],],3]",
        "[[1,2,[3,[,4]]]]",
        "[[1,2,[3,[ ,4]]]]",
        "[[1,[2,3] [4,5],6]]",
        '[[1,{"a":2,},3,4]]',
        '[[1,{"a":2,{,}},4]]',
        '[{"a":1,"b":2,"c":3]]',
        "[[1,2,3,4,5]",
        "[[1,2,3,4,,5]]",
        "[[,1,2,3,4,5]]",
        "[[1,2,3,4,5,]]",
        "[[1,2,3,4],[5,6,NaN,7]]",
        '[{"a":1,"b":2,"c"}]',
        '[{"a":1,"b":2,3:4}]',
    ],
)
def test_large_texts_that_are_not_json_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for window in range(1, 12):
        monkeypatch.setattr(json_text, "WINDOW", window)
        monkeypatch.setattr(json_text, "_PATIENCE", 1 + window % 2)
        with pytest.raises(JsonError):
            items(text)


@pytest.mark.parametrize(
    "value",
    [
        json.dumps([{"id": number, "tags": ["a", "b"]} for number in range(50_000)]),
        json.dumps({str(number): number for number in range(80_000)}),
        "[" + "1," * 400_000 + "1]",
        "[" + ",".join(["[[[[]]]]"] * 100_000) + "]",
        "[" * 400 + ",".join(["1"] * 300_000) + "]" * 400,
        ",".join(["[" * 400 + "1," * WINDOW + "1" + "]" * 400] * 40).join("[]"),
        ",".join(['{"a":[1,' * 200 + "1," * WINDOW + "1" + "]}" * 200] * 40).join("[]"),
        "[" + "1,[2,3]," * 100_000 + "4]",
    ],
    ids=["objects", "members", "numbers", "nested", "deep", "deep again and again", "deep objects", "mixed"],
)
def test_no_slice_is_longer_than_a_window_and_none_is_read_again(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise all others would wait for one client, or for long; and items are not read one by one, which is slow."""
    windows = 1 + len(value) // WINDOW
    calls = characters = 0
    scan = json_text._SCAN

    def counting(text: str, at: int) -> tuple[object, int]:
        nonlocal calls, characters
        calls += 1
        end = len(text)
        try:
            value, end = scan(text, at)
        finally:
            characters += end - at
        return value, end

    monkeypatch.setattr(json_text, "_SCAN", counting)
    slices = sum(1 for _ in array(f"[{value}]", most=1))
    assert 0.9 * windows <= slices <= 3 * windows
    assert calls < 40 * windows
    assert characters < 6 * len(value)
