"""The timer wheel: every key is due once, in its time, however the clock moves, and nothing is left of a cancelled one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.timer_wheel import TimerWheel

ALL = 1000
YEAR = 365 * 86_400.0


def wheel(now: float = 0.0) -> TimerWheel[str]:
    """Make a wheel that turns in 4 seconds."""
    return TimerWheel(tick=0.5, slots=8, now=now)


def kept(wheel: TimerWheel[str]) -> int:
    """Return how many entries the wheel holds, in all its parts."""
    return sum(map(len, wheel._slots)) + len(wheel._slot_of)


@pytest.mark.parametrize("when", [0.3, 0.5, 3.9, 4.0, 12.1, 1000.25, YEAR])
def test_a_key_is_due_at_its_time_and_not_before(when: float) -> None:
    w = wheel()
    w.schedule("a", when)
    assert w.due(when - 0.001, ALL) == []
    assert len(w) == 1
    assert w.due(when, ALL) == ["a"]
    assert (w.due(when + 100, ALL), kept(w), repr(w)) == ([], 0, "<TimerWheel 0>")


def test_turns_of_any_length_find_each_key_once() -> None:
    w = wheel(1e9)
    for number in range(100):
        w.schedule(str(number), 1e9 + number / 3)
    found = [key for turn in range(200) for key in w.due(1e9 + turn * 0.19, ALL)]
    assert found == [str(number) for number in range(100)]


def test_a_key_may_be_scheduled_again_and_cancelled() -> None:
    w = wheel()
    w.schedule("a", 1)
    w.schedule("a", 3)
    w.schedule("b", 1)
    w.cancel("b")
    w.cancel("b")
    assert w.due(2, ALL) == []
    assert w.due(3, ALL) == ["a"]
    assert kept(w) == 0


def test_a_time_in_the_past_is_due_next() -> None:
    w = wheel(100)
    w.due(101, ALL)
    w.schedule("a", -5)
    assert w.due(101, ALL) == ["a"]


@pytest.mark.parametrize("when", [math.inf, -math.inf])
def test_an_infinite_time_never_comes(when: float) -> None:
    w = wheel()
    w.schedule("a", 1)
    w.schedule("a", when)
    assert (w.due(1e12, ALL), kept(w)) == ([], 0)


def test_a_time_beyond_any_calendar_is_kept() -> None:
    w = wheel(1.8e9)
    w.schedule("a", 1e300)
    for turn in range(20):
        assert w.due(1.8e9 + turn, ALL) == []
    assert len(w) == 1


def test_the_rest_comes_with_the_next_calls() -> None:
    w = wheel()
    for number in range(10):
        w.schedule(str(number), 1 + number // 5)
    assert w.due(2, 4) == ["0", "1", "2", "3"]
    assert w.due(2, 4) == ["4", "5", "6", "7"]
    assert w.due(2, 4) == ["8", "9"]
    assert w.due(2, 4) == []


@pytest.mark.parametrize("jump", [4.1, 1000, YEAR])
def test_a_clock_that_is_set_forward(jump: float) -> None:
    w = wheel()
    for number in range(8):
        w.schedule(str(number), number * 0.5)
    w.schedule("later", jump + 1)
    assert sorted(w.due(jump, ALL)) == [str(number) for number in range(8)]
    assert w.due(jump + 1, ALL) == ["later"]


def test_a_clock_that_is_set_back() -> None:
    w = wheel(1000)
    w.due(1000, ALL)
    w.schedule("a", 1000.2)
    w.schedule("b", 500)
    assert w.due(100, ALL) == []
    w.schedule("c", 101)
    assert w.due(101, ALL) == ["c"]
    found = [(now, key) for now in range(102, 1003) for key in w.due(now, ALL)]
    assert found == [(500, "b"), (1001, "a")]


def test_a_time_that_is_in_the_past_only_until_it_is_known_that_the_clock_was_set_back() -> None:
    w = wheel(1000)
    w.schedule("a", 901)
    assert w.due(900.5, ALL) == []
    assert w.due(901, ALL) == ["a"]


TIMES = st.integers(-2, 40).map(lambda number: number / 4) | st.floats(-50, 300)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), TIMES | st.none(), TIMES)), st.integers(1, 3))
def test_it_does_what_a_dict_of_times_does(steps: list[tuple[str, float | None, float]], most: int) -> None:
    w, model = wheel(), dict[str, float]()
    for key, when, now in steps:
        if when is None:
            w.cancel(key)
            model.pop(key, None)
        else:
            w.schedule(key, when)
            model[key] = when
        while found := w.due(now, most):
            assert len(found) <= most
            for one in found:
                assert model.pop(one) <= now
        assert all(time > now for time in model.values())
    assert kept(w) == 2 * len(model)
