"""Who is closed when."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.sessions.draining import schedule


def rng(seed: int = 1) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a repeatable sequence, no secret


@pytest.mark.parametrize(
    ("count", "seconds", "delays"),
    [
        (0, 10.0, []),
        (1, 10.0, [0.0]),
        (4, 10.0, [0.0, 2.5, 5.0, 7.5]),
        (3, 0.0, [0.0, 0.0, 0.0]),
    ],
)
def test_ends_are_spread_evenly(count: int, seconds: float, delays: list[float]) -> None:
    assert delays == [delay for delay, _ in schedule(range(count), seconds, rng())]


@settings(max_examples=100, deadline=None)
@given(count=st.integers(0, 50), seconds=st.floats(0, 1000), seed=st.integers(0, 5))
def test_each_session_ends_once_and_within_the_time(count: int, seconds: float, seed: int) -> None:
    plan = schedule(range(count), seconds, rng(seed))
    assert list(range(count)) == sorted(session for _, session in plan)
    assert sorted(plan, key=lambda item: item[0]) == plan
    assert all(0 <= delay <= seconds for delay, _ in plan)


def test_the_order_is_random() -> None:
    orders = {tuple(session for _, session in schedule(range(20), 1.0, rng(seed))) for seed in range(10)}
    assert len(orders) == 10
    assert tuple(range(20)) not in orders
