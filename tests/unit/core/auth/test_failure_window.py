"""The window of tokens that were sent to Auth: each counts once, and no address can do more than vote."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.auth.failure_window import (
    MAX_PAIRS,
    MAX_TOKENS,
    MIN_TOKENS,
    WINDOW_SECONDS,
    Failures,
    FailureWindow,
)


def window(*outcomes: str, now: float = 0.0, max_addresses: int = 10, max_tokens: int = 5) -> FailureWindow:
    """Make a window with these outcomes: `a1-` is token 1 of address a, which failed; `a2+` did not."""
    made = FailureWindow(max_addresses=max_addresses, max_tokens=max_tokens)
    for outcome in outcomes:
        add(made, outcome, now)
    return made


def add(to: FailureWindow, outcome: str, now: float) -> None:
    address, token, sign = outcome[0], outcome[1:-1], outcome[-1]
    to.add(address, token.encode(), now, failed=sign == "-")


def test_a_token_of_an_address_counts_once() -> None:
    assert window("a1-", "a1-", "a1-", "b1-").failures(0) == Failures(2, 2, 2, 2)


def test_the_last_outcome_of_a_token_counts() -> None:
    assert window("a1-", "a1+").failures(0) == Failures(0, 0, 0, 1)
    assert window("a1+", "a1-").failures(0) == Failures(1, 1, 1, 1)


def test_an_address_counts_as_failing_if_half_of_its_tokens_failed() -> None:
    assert window("a1-", "a2+", "b1-").failures(0) == Failures(2, 2, 2, 2)
    assert window("a1-", "a2+", "a3+", "b1-").failures(0) == Failures(2, 1, 1, 2)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    found = window("a1-", "b1+")
    add(found, "a2-", 5)
    assert found.failures(WINDOW_SECONDS - 0.1) == Failures(2, 2, 1, 2)
    assert found.failures(WINDOW_SECONDS) == Failures(1, 1, 1, 1)
    assert found.failures(WINDOW_SECONDS + 5) == Failures(0, 0, 0, 0)
    assert len(found) == 0


def test_a_token_that_comes_again_stays_for_another_window() -> None:
    found = window("a1-", "b1-")
    add(found, "a1-", 5)
    assert found.failures(WINDOW_SECONDS) == Failures(1, 1, 1, 1)


def test_an_address_displaces_none_however_many_tokens_it_has() -> None:
    found = window("a1-", "b1+", max_addresses=3)
    for number in range(1000):
        add(found, f"c{number}{'-' if number % 2 else '+'}", 0)
    assert found.failures(0) == Failures(6, 6, 2, 3)
    assert len(found) == 1 + 1 + 5 + 5


def test_the_oldest_address_makes_room_for_a_new_one() -> None:
    found = window("a1-", "a2+", "b1-", "c1-", max_addresses=2)
    assert found.failures(0) == Failures(2, 2, 2, 2)
    assert len(found) == 2
    add(found, "b1+", 0)  # it is still there, and is not counted twice
    assert found.failures(0) == Failures(1, 1, 1, 2)


def test_its_size_is_bounded_whatever_the_setting_is() -> None:
    for failures, tokens in ((0, MIN_TOKENS), (5, MIN_TOKENS), (100, 100), (10**9, MAX_TOKENS)):
        made = FailureWindow.for_failures(failures)
        assert made._max_tokens == tokens
        assert 2 * made._max_tokens * made._max_addresses <= MAX_PAIRS
        assert made._max_addresses >= 64


def test_whether_anything_was_good_since_the_last_failures() -> None:
    found = window("a1+")
    assert found.good_since(1, 0)  # there is no failure
    add(found, "b1-", 1)
    add(found, "b2-", 2)
    assert not found.good_since(2, 2)
    assert found.good_since(3, 2)
    add(found, "c1+", 3)
    assert found.good_since(2, 3)
    add(found, "b3-", 4)
    assert (found.good_since(1, 4), found.good_since(2, 4)) == (False, True)


def test_how_many_different_tokens_of_failing_addresses_failed() -> None:
    assert window("a1-", "b1-", "c1-").different(0, 3) == 1
    assert window("a1-", "b1-", "c2-").different(0, 3) == 2
    assert window("a1-", "a2-", "a3-", "a4-").different(0, 3) == 3
    assert window("a1-", "b2-", "b3+", "b4+").different(0, 3) == 1
    assert window("a1-", "a2+").different(0, 3) == 1
    assert window("a1-", "b2-").different(WINDOW_SECONDS, 3) == 0


def test_forgetting_the_failures_and_repr() -> None:
    found = window("a1-", "a2+", "b1+", "c1-")
    assert repr(found) == "<FailureWindow addresses=3 tokens=4>"
    found.forget_failures()
    assert repr(found) == "<FailureWindow addresses=2 tokens=2>"
    assert found.failures(0) == Failures(0, 0, 0, 2)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(1, 4), st.booleans(), st.integers(0, 6)), max_size=60
    )
)
def test_it_agrees_with_a_list_of_all_outcomes(events: list[tuple[str, int, bool, int]]) -> None:
    found, now = window(), 0.0
    last: dict[tuple[str, int], tuple[bool, float]] = {}
    for address, token, failed, gap in events:
        now += gap
        found.add(address, bytes([token]), now, failed=failed)
        last[address, token] = failed, now
        recent = {pair: failed for pair, (failed, time) in last.items() if time > now - WINDOW_SECONDS}
        addresses = {pair[0] for pair in recent}
        bad = {each: [failed for pair, failed in recent.items() if pair[0] == each] for each in addresses}
        failing = {
            each for each, outcomes in bad.items() if any(outcomes) and 2 * sum(outcomes) >= len(outcomes)
        }
        assert found.failures(now) == Failures(
            sum(recent.values()), sum(sum(bad[each]) for each in failing), len(failing), len(addresses)
        )
