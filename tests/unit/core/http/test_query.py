"""Queries: what is taken out of them is taken out however it is spelled, and what stays keeps its bytes."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.handshakes import USER_ID

from memmie_gateway.core.http import query

OTHERS: Final = [
    "user", "id", "userid", "userId", "user-id", "user__id", "user_id2", "user_ids", "my_user_id", "x.user_id",
    "user_id.x", "user_id_x", "user[id]", "user[idx", "", "=", "%", "%F6", "token", "user_%69d_x", "user_id]",
]  # fmt: skip


@pytest.mark.parametrize("name", USER_ID)
def test_every_spelling_of_user_id_is_known(name: str) -> None:
    assert query.means_user_id(name)


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_not_user_id(name: str) -> None:
    assert not query.means_user_id(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1&b=%C3%A9+x", [("a", "1"), ("b", "é x")]),
        ("a=1;b=2", [("a", "1"), ("b", "2")]),
        ("a==1&flag&=2&", [("a", "=1"), ("flag", ""), ("", "2"), ("", "")]),
        ("%61=%F6%2B", [("a", "\ufffd+")]),
        ("a=1?b", [("a", "1?b")]),
    ],
)
def test_fields(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(query.fields(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1", ""),
        ("x", ""),
        ("a=1&x=1&b=2", "a=1&b=2"),
        ("x=1&a=1;x;b=2&x=3", "a=1;b=2"),
        ("a=1;x=1&b=2", "a=1&b=2"),
        ("x&x;x", ""),
        ("&&x=1&a=1&", "&&a=1&"),
        ("a=x20y&b=x%20y&c=x+y&flag&d=12:30&e=%F6&f=%c3&g='\"<|", "a=x20y&b=x%20y&c=x+y&flag&d=12:30&e=%F6&f=%c3&g='\"<|"),
    ],
)  # fmt: skip
def test_without(text: str, expected: str) -> None:
    assert query.without(text, lambda name, _: name == "x") == expected


def test_what_is_dropped_is_asked_about_as_it_was_sent() -> None:
    asked: list[tuple[str, str]] = []

    def keep(name: str, value: str) -> bool:
        asked.append((name, value))
        return False

    query.without("%61=%62+&c", keep)
    assert asked == [("%61", "%62+"), ("c", "")]


@settings(max_examples=200, deadline=None)
@given(text=st.text("axu=&;%5F+", max_size=40))
def test_what_stays_is_a_part_of_what_came(text: str) -> None:
    left = query.without(text, lambda name, _: query.decode(name) == "x")
    kept = [field for field in re.split("[&;]", text) if query.decode(field.partition("=")[0]) != "x"]
    assert "".join(kept) == re.sub("[&;]", "", left)
    assert not [name for name, _ in query.fields(left) if name == "x"]
    for separator in "&;":
        assert ("x", "") not in parse_qsl(left, keep_blank_values=True, separator=separator)


@pytest.mark.parametrize("text", ["S+x/=", '"S+x/="', "S%2Bx%2F%3D", "%22S%2bx/%3D%22", "%53+x/="])
def test_a_secret_is_known_in_every_encoding(text: str) -> None:
    assert query.equals(text, "S+x/=")


def test_no_text_equals_an_empty_secret() -> None:
    assert not query.equals("", "")


def test_a_secret_with_a_blank_is_known_from_its_plus() -> None:
    assert query.equals("a+b", "a b")


@pytest.mark.parametrize("text", ["", "S", "s+x/=", "S+x/=2", "S%2Bx", "S%252Bx%252F%253D"])
def test_another_text_is_not_the_secret(text: str) -> None:
    assert not query.equals(text, "S+x/=")
