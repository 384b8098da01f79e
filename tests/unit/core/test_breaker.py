"""The circuit breaker, event by event."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.breaker import Breaker, Circuit

CLOSED, OPEN, HALF_OPEN = Circuit


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(failures=2, open_seconds=10)
    breaker.failed(at)
    breaker.failed(at)
    return breaker


def half_open() -> Breaker:
    breaker = opened()
    assert breaker.allows(10)
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("", CLOSED),
        ("f", CLOSED),
        ("ff", OPEN),
        ("fff", OPEN),
        ("fsf", CLOSED),
        ("fsff", OPEN),
        ("ffs", CLOSED),  # an answer that was on its way
    ],
)
def test_failures_in_a_row_open_it(outcomes: str, expected: Circuit) -> None:
    breaker = Breaker(failures=2, open_seconds=10)
    for outcome in outcomes:
        if outcome == "f":
            breaker.failed(0)
        else:
            breaker.succeeded()
    assert expected is breaker.circuit


def test_it_says_when_a_time_without_calls_begins_and_when_it_ends() -> None:
    breaker = Breaker(failures=2, open_seconds=10)

    assert [breaker.failed(0), breaker.failed(0), breaker.failed(1)] == [False, True, False]
    assert breaker.allows(11)
    assert not breaker.failed(11)  # it goes on
    assert [breaker.succeeded(), breaker.succeeded()] == [True, False]
    assert [breaker.failed(12), breaker.failed(12)] == [False, True]


def test_zero_failures_never_open_it() -> None:
    breaker = Breaker(failures=0, open_seconds=10)
    for _ in range(100):
        breaker.failed(0)
        assert breaker.allows(0)


@pytest.mark.parametrize(
    ("now", "allowed", "retry_after", "circuit"),
    [(0, False, 10, OPEN), (9.5, False, 0.5, OPEN), (10, True, 0, HALF_OPEN), (99, True, 0, HALF_OPEN)],
)
def test_open_lets_none_pass_until_its_time_is_over(
    now: float,
    allowed: bool,  # noqa: FBT001 - a column of the table
    retry_after: float,
    circuit: Circuit,
) -> None:
    breaker = opened()
    assert retry_after == breaker.retry_after(now)
    assert allowed is breaker.allows(now)
    assert circuit is breaker.circuit


def test_half_open_lets_one_pass() -> None:
    breaker = half_open()
    assert [breaker.allows(now) for now in (10, 19.5)] == [False, False]
    assert breaker.retry_after(19.5) == 0.5


def test_a_call_that_never_tells_its_outcome_does_not_keep_it_shut() -> None:
    breaker = half_open()
    assert [breaker.allows(now) for now in (20, 20)] == [True, False]


def test_half_open_closes_on_success() -> None:
    breaker = half_open()
    breaker.succeeded()
    assert (breaker.circuit, breaker.allows(11), breaker.retry_after(11)) == (CLOSED, True, 0)
    breaker.failed(11)  # the row of failures was ended, too
    assert breaker.circuit is CLOSED


def test_half_open_opens_again_on_failure() -> None:
    breaker = half_open()
    breaker.failed(12)
    assert (breaker.circuit, breaker.retry_after(12), breaker.allows(21.5)) == (OPEN, 10, False)
    assert breaker.allows(22)


def test_late_failures_do_not_keep_it_open_longer() -> None:
    breaker = opened()
    breaker.failed(9)
    assert breaker.allows(10)


def test_repr() -> None:
    assert repr(opened()) == "<Breaker open failures=2>"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("afs"), st.integers(0, 80).map(lambda eighths: eighths / 8)), max_size=30
    )
)
def test_retry_after_tells_when_a_call_may_be_made(events: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(failures=2, open_seconds=5), 0.0
    for event, gap in events:
        now += gap
        if event == "a":
            wait = breaker.retry_after(now)
            assert (wait == 0) is breaker.allows(now)
        elif event == "f":
            breaker.failed(now)
        else:
            breaker.succeeded()
