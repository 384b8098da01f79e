"""The places and their line: nobody gets more than half, and nobody waits for one who has that."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.auth.fair_line import FairLine


@pytest.mark.parametrize(("places", "share"), [(1, 1), (2, 1), (3, 1), (4, 2), (50, 25)])
def test_a_key_has_at_most_half_of_the_places(places: int, share: int) -> None:
    line: FairLine[int] = FairLine(places)
    assert [line.take("a") for _ in range(places)] == [True] * share + [False] * (places - share)


def test_all_keys_together_have_all_places() -> None:
    line: FairLine[int] = FairLine(4)
    assert [line.take(key) for key in "aabcd"] == [True] * 4 + [False]


def test_a_place_that_is_given_back_goes_to_the_next_of_another_key_in_turn() -> None:
    line: FairLine[str] = FairLine(4)
    for key in "aabb":
        assert line.take(key)
    for item in ("a1", "a2", "a3", "c1", "c2", "d1"):
        line.wait(item[0], item)
    assert repr(line) == "<FairLine free=0 waiting=6>"
    order = [line.give_back(key) for key in "bbaaccda"]
    assert order == ["c1", "d1", "c2", "a1", "a2", None, None, "a3"]


def test_a_key_that_has_had_its_turn_comes_after_one_that_waits_for_a_shorter_time() -> None:
    """Otherwise a client that always waits would take the only place again and again."""
    line: FairLine[str] = FairLine(1)
    assert line.take("a")
    for item in ("a1", "a2", "b1"):
        line.wait(item[0], item)
    assert [line.give_back(key) for key in "aba"] == ["b1", "a1", "a2"]


def test_an_item_may_leave_the_line() -> None:
    line: FairLine[str] = FairLine(2)
    assert line.take("a")
    assert line.take("b")
    for item in ("a1", "a2", "c1"):
        line.wait(item[0], item)
    line.leave("a", "a1")
    line.leave("c", "c1")
    assert [line.give_back("a"), line.give_back("a"), line.take("c")] == ["a2", None, True]


@settings(max_examples=200, deadline=None)
@given(
    places=st.integers(1, 7), events=st.lists(st.tuples(st.booleans(), st.sampled_from("abcd")), max_size=60)
)
def test_no_place_is_lost_and_none_is_free_for_one_who_waits(
    places: int, events: list[tuple[bool, str]]
) -> None:
    line: FairLine[tuple[str, int]] = FairLine(places)
    share = max(1, places // 2)
    held: list[str] = []
    waiting: list[tuple[str, int]] = []
    for number, (comes, key) in enumerate(events):
        if comes:
            if line.take(key):
                held.append(key)
            else:
                line.wait(key, (key, number))
                waiting.append((key, number))
        elif key in held:
            held.remove(key)
            item = line.give_back(key)
            if item is not None:
                assert item == next(each for each in waiting if each[0] == item[0])  # the first of its key
                waiting.remove(item)
                held.append(item[0])
        assert len(held) <= places
        assert all(held.count(each) <= share for each in "abcd")
        assert len(line) == len(waiting)
        if len(held) < places:
            assert all(held.count(each) == share for each, _ in waiting)
