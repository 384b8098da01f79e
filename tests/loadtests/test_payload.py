"""Numbered texts: the number comes back, and one changed byte is noticed."""

from __future__ import annotations

import json

import pytest

from loadtests.users.payload import number_of, numbered_text


def test_every_number_comes_back() -> None:
    assert [number_of(numbered_text(number)) for number in range(1, 300)] == list(range(1, 300))


def test_sizes_are_mixed_and_most_are_small() -> None:
    sizes = sorted(len(numbered_text(number)) for number in range(1, 1001))
    assert sizes[0] < 64
    assert sizes[500] < 1024
    assert sizes[-1] > 60 << 10


def test_json_escapes_nothing_of_it() -> None:
    text = numbered_text(5)
    assert json.dumps(text) == f'"{text}"'


@pytest.mark.parametrize("at", [0, 2, 5, 11, 40])
def test_a_changed_byte_is_noticed(at: int) -> None:
    text = numbered_text(12)
    changed = text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]
    assert number_of(changed) is None


def test_a_shorter_a_longer_and_a_renumbered_one_are_noticed() -> None:
    text = numbered_text(12)
    assert [number_of(changed) for changed in (text[:-1], text + "x", "1" + text)] == [None, None, None]


@pytest.mark.parametrize("text", ["", "12", "12:", "x:y:z", "::"])
def test_another_text_has_no_number(text: str) -> None:
    assert number_of(text) is None
