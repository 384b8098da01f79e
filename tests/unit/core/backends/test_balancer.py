"""Which Studio: complete orders, fair shares, and only a leaver's users move (spec §7, §8)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.backends.balancer import (
    LEAST_WEIGHT,
    NEVER,
    Balancer,
    Strategy,
    first_choice,
    rendezvous_score,
    weight,
)


@dataclass(frozen=True)
class Studio:
    """A candidate."""

    url: str
    connections: int = 0
    returned: float = NEVER


def studios(count: int) -> list[Studio]:
    return [Studio(f"ws://studio-{number}:8010/ws") for number in range(count)]


USERS = [f"user-{number}" for number in range(3000)]
STICKY, ROUND_ROBIN, LEAST = Strategy


def balancer(strategy: Strategy) -> Balancer:
    return Balancer(strategy, random.Random(1))  # noqa: S311 - a repeatable sequence, no secret


def first(strategy: Strategy, available: list[Studio]) -> Callable[[str], Studio]:
    chooser = balancer(strategy)
    return lambda user: chooser.prefer(available, user)[0]


@pytest.mark.parametrize("strategy", Strategy)
@settings(max_examples=60, deadline=None)
@given(
    loads=st.lists(st.integers(0, 3), max_size=6),
    user=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    bound=st.none() | st.integers(0, 7),
    turns=st.integers(0, 8),
)
def test_any_order_is_complete_and_begins_with_the_studio_a_user_is_bound_to(
    strategy: Strategy, loads: list[int], user: str, bound: int | None, turns: int
) -> None:
    available = [Studio(f"ws://{number}", load) for number, load in enumerate(loads)]
    bound_to = None if bound is None else Studio(f"ws://{bound}", loads[bound] if bound < len(loads) else 0)
    chooser = balancer(strategy)
    for _ in range(turns):
        chooser.prefer(available, user)
    given_list = list(available)
    order = chooser.prefer(available, user, bound_to)
    assert sorted(loads_and_urls(order)) == sorted(loads_and_urls(available))
    assert given_list == available  # it belongs to the caller
    if bound_to in available:
        assert bound_to == order[0]


def loads_and_urls(order: list[Studio]) -> list[tuple[str, int]]:
    return [(studio.url, studio.connections) for studio in order]


# Sticky.


def test_sticky_is_the_same_in_every_process_and_whatever_the_order_of_the_settings() -> None:
    available = studios(4)
    expected = [studio.url[12] for studio in balancer(STICKY).prefer(available, "user-1")]
    assert expected == ["0", "3", "2", "1"]  # of SHA-256 and BLAKE2b: must not change between releases
    assert expected == [studio.url[12] for studio in balancer(STICKY).prefer(available[::-1], "user-1")]


@pytest.mark.parametrize("strategy", [STICKY, ROUND_ROBIN])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_each_studio_has_its_fair_share(strategy: Strategy, count: int) -> None:
    shares = Counter(map(first(strategy, studios(count)), USERS))
    assert count == len(shares)
    for share in shares.values():
        assert share == pytest.approx(len(USERS) / count, rel=0.12)


@pytest.mark.parametrize("leaver", range(4))
def test_a_studio_that_leaves_moves_its_own_users_alone_and_to_all_others(leaver: int) -> None:
    before = studios(4)
    after = [studio for number, studio in enumerate(before) if number != leaver]
    was, now = first(STICKY, before), first(STICKY, after)
    moved = Counter[Studio]()
    for user in USERS:
        if was(user) == before[leaver]:
            moved[now(user)] += 1
            assert balancer(STICKY).prefer(before, user)[1] == now(user)  # the next in the order
        else:
            assert was(user) == now(user)
    assert set(after) == set(moved)
    for share in moved.values():
        assert share == pytest.approx(moved.total() / 3, rel=0.25)


def test_scores_of_users_and_studios_do_not_run_into_each_other() -> None:
    assert rendezvous_score("a", "bc") != rendezvous_score("ab", "c")
    assert (
        len({rendezvous_score(user, url) for user in ("u", "v", "") for url in ("ws://1", "ws://2", "")}) == 9
    )


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.text())
def test_the_first_choice_is_the_one_that_sticky_prefers(names: list[str], user: str) -> None:
    available = [Studio(f"ws://{name}") for name in names]
    preferred = balancer(STICKY).prefer(available, user)
    assert first_choice(available, user) == (preferred[0] if preferred else None)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_first_choice_of_a_few(count: int) -> None:
    available = studios(count)
    assert first_choice(available, "u1") == next(iter(balancer(STICKY).prefer(available, "u1")), None)


# Round robin.


def test_the_studio_that_a_user_is_bound_to_is_the_first() -> None:
    one, two, three = studios(3)
    assert balancer(ROUND_ROBIN).prefer([one, two, three], "u1", three) == [three, one, two]


def test_round_robin_goes_round_and_on_from_each() -> None:
    a, b, c = available = studios(3)
    chooser = balancer(ROUND_ROBIN)
    orders = [chooser.prefer(available, "u") for _ in range(4)]
    assert orders == [[a, b, c], [b, c, a], [c, a, b], [a, b, c]]


def test_round_robin_survives_that_there_is_none() -> None:
    chooser = balancer(ROUND_ROBIN)
    assert [chooser.prefer([], "u"), chooser.prefer(studios(1), "u")] == [[], studios(1)]


# Least connections.


def test_least_connections_orders_by_load() -> None:
    available = [Studio("ws://a", 2), Studio("ws://b", 0), Studio("ws://c", 1)]
    assert [studio.connections for studio in balancer(LEAST).prefer(available, "u")] == [0, 1, 2]


def test_ties_are_broken_by_chance() -> None:
    shares = Counter(map(first(LEAST, [*studios(3), Studio("ws://busy", 1)]), USERS))
    assert set(studios(3)) == set(shares)
    for share in shares.values():
        assert share == pytest.approx(len(USERS) / 3, rel=0.12)


# Slow start.


@pytest.mark.parametrize(
    ("returned", "slow_start", "expected"),
    [
        pytest.param(NEVER, 10, 1, id="never away"),
        pytest.param(100, 10, LEAST_WEIGHT, id="just returned"),
        pytest.param(99.5, 10, LEAST_WEIGHT, id="a moment ago"),
        pytest.param(95, 10, 0.5, id="half of the time ago"),
        pytest.param(90, 10, 1, id="all of the time ago"),
        pytest.param(100, 0, 1, id="switched off"),
        pytest.param(NEVER, 0, 1, id="never away, switched off"),
    ],
)
def test_the_weight_rises(returned: float, slow_start: float, expected: float) -> None:
    assert weight(returned, 100, slow_start) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("connections", "now", "first"),
    [
        pytest.param(0, 100, "returned", id="it is empty"),
        pytest.param(9, 100, "returned", id="it has less than a tenth of the others"),
        pytest.param(10, 100, "other", id="it has a tenth of the others"),
        pytest.param(10, 105, "returned", id="its weight has risen"),
        pytest.param(50, 105, "other", id="it has half of the others at half of the time"),
        pytest.param(50, 110, "returned", id="it is like the others"),
    ],
)
def test_a_returned_studio_fills_slowly(connections: int, now: float, first: str) -> None:
    available = [Studio("returned", connections, returned=100), Studio("other", 100)]
    chooser = Balancer(LEAST, random.Random(1), slow_start=10)  # noqa: S311 - a repeatable sequence, no secret
    assert chooser.prefer(available, "u", now=now)[0].url == first
