"""The set of backends: joining, leaving, retiring until the last session ends, and candidates for a user."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.net.backends import AsGiven, make, names_of, pool_of, url

from memmie_gateway.core.backends.balancer import Balancer, Strategy
from memmie_gateway.core.backends.health import HealthTracker
from memmie_gateway.net.backends.backend import Backend, BackendUrl, Traffic
from memmie_gateway.net.backends.pool import BackendPool

# Joining and leaving.


def test_an_empty_pool() -> None:
    pool, _ = pool_of()
    assert (pool.active, list(pool), pool.candidates("u1")) == ((), [], [])
    assert repr(pool) == "<BackendPool active=0 retiring=0>"


def test_backends_join_in_the_order_given() -> None:
    pool = BackendPool(AsGiven(), make)
    change = pool.update(map(url, "cab"))
    assert names_of(change.joined) == ["c", "a", "b"]
    assert change.left == ()
    assert change.joined == pool.active == tuple(pool)


def test_an_update_returns_what_joined_and_what_left() -> None:
    pool, (a, b, c) = pool_of("a", "b", "c")
    change = pool.update(map(url, "bd"))
    assert change.left == (a, c)
    assert names_of(change.joined) == ["d"]
    assert pool.active == (b, *change.joined)


def test_an_update_with_the_same_changes_nothing() -> None:
    pool, backends = pool_of("a", "b")
    change = pool.update(map(url, "ba"))
    assert change == ((), ())
    assert list(pool.active) == backends, "those that stay keep their order"


def test_a_url_that_is_named_twice_is_one_backend() -> None:
    pool, _ = pool_of("a", "a")
    assert names_of(pool.active) == ["a"]


def test_those_that_stay_stay_the_same_and_keep_their_order() -> None:
    pool, (_, b, c) = pool_of("a", "b", "c")
    pool.update(map(url, "xcb"))
    assert pool.active[:2] == (b, c)
    assert names_of(pool.active) == ["b", "c", "x"]


def test_one_that_comes_back_comes_last() -> None:
    pool, (a, b) = pool_of("a", "b")
    a.joined()
    pool.update(map(url, "b"))
    pool.update(map(url, "ab"))
    assert pool.active == (b, a)


# Retiring.


def test_one_that_leaves_without_connections_is_forgotten() -> None:
    pool, (a, _) = pool_of("a", "b")
    pool.update(map(url, "b"))
    assert names_of(pool) == ["b"]
    (again,) = pool.update(map(url, "ab")).joined
    assert again is not a


def test_one_that_leaves_retires_until_its_last_connection_has_left() -> None:
    pool, (a, b) = pool_of("a", "b")
    a.joined()
    a.joined()
    assert pool.update(map(url, "b")).left == (a,)
    assert pool.active == (b,)
    assert list(pool) == [b, a], "those in use come first"
    assert repr(pool) == "<BackendPool active=1 retiring=1>"
    assert pool.candidates("u1", a) == [b], "it gets no new connections, not even of users bound to it"

    a.left(Traffic(1, 2, 3, 4))
    assert list(pool) == [b, a]
    a.left()
    assert repr(pool) == "<BackendPool active=1 retiring=0>"
    assert list(pool) == [b]
    assert a.traffic == Traffic(1, 2, 3, 4)


def test_one_that_retires_is_not_named_as_leaving_again() -> None:
    pool, (a, _) = pool_of("a", "b")
    a.joined()
    pool.update(map(url, "b"))
    assert pool.update(map(url, "b")) == ((), ())


def test_one_that_comes_back_before_that_is_the_same_as_before() -> None:
    pool, (a, b) = pool_of("a", "b")
    a.joined()
    a.failed("broke")
    pool.update(map(url, "b"))
    assert pool.update(map(url, "ab")) == ((a,), ())
    assert (a.connections, a.failures) == (1, 1)
    a.left()
    assert list(pool) == [b, a], "it is in use again, with or without connections"


def test_one_that_comes_back_after_that_is_new() -> None:
    pool, (a, _) = pool_of("a", "b")
    a.joined()
    pool.update(map(url, "b"))
    a.left()
    (again,) = pool.update(map(url, "ab")).joined
    assert again is not a
    assert again.connections == 0


def test_a_session_that_joins_as_its_dial_is_counted_off_keeps_the_backend() -> None:
    """The dial and the session are two: between them, nobody is counted."""
    pool, (a,) = pool_of("a")
    a.joined()  # the dial
    pool.update([])
    a.left()
    a.joined()  # the session
    assert list(pool) == [a]
    assert pool.update([url("a")]) == ((a,), ())


def test_backends_that_come_and_go_leave_nothing_behind() -> None:
    pool, _ = pool_of()
    for number in range(100):
        (backend,) = pool.update([url(f"b{number}")]).joined
        backend.joined()
    assert repr(pool) == "<BackendPool active=1 retiring=99>"
    for backend in list(pool):
        backend.left()
    pool.update([])
    assert (pool._active, pool._retiring) == ({}, {})


def test_uses() -> None:
    pool, (a, b) = pool_of("a", "b")
    a.joined()
    pool.update(map(url, "b"))
    assert (pool.uses(a), pool.uses(b)) == (False, True)
    assert not pool.uses(make(url("b"))), "another one of the same URL"
    pool.update(map(url, "ab"))
    assert pool.uses(a)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["update"]), st.lists(st.sampled_from("abcd"), max_size=4))
        | st.tuples(st.sampled_from(["joined", "left"]), st.sampled_from("abcd")),
        max_size=30,
    )
)
def test_any_order_of_updates_and_connections(steps: list[tuple[str, list[str]]]) -> None:
    """Against the simplest model: a backend is known while it is in use or has connections."""
    pool, _ = pool_of()
    live: dict[str, list[Backend]] = {}
    wanted: list[str] = []
    for what, names in steps:
        known = {backend.where.host: backend for backend in pool}
        if what == "update":
            wanted = list(dict.fromkeys(names))
            change = pool.update(map(url, names))
            assert set(names_of(change.left)).isdisjoint(wanted)
            assert set(names_of(change.joined)) <= set(wanted)
            for name in known.keys() & set(wanted):
                assert known[name] in pool.active, "it stays the same"
        elif what == "joined" and pool.uses(known.get(names[0], make(url("x")))):
            known[names[0]].joined()
            live.setdefault(names[0], []).append(known[names[0]])
        elif what == "left" and live.get(names[0]):
            live[names[0]].pop().left()
        in_use = set(names_of(pool.active))
        assert in_use == set(wanted)
        assert {id(backend) for backend in pool} == {
            id(backend) for backend in (*pool.active, *itertools.chain(*live.values()))
        }


# Candidates.


def test_all_are_candidates_while_nothing_is_known() -> None:
    pool, backends = pool_of("a", "b", "c")
    assert pool.candidates("u1") == backends


@pytest.mark.parametrize(
    ("healthy", "unhealthy", "expected"),
    [
        pytest.param("", "", "abc", id="nothing known"),
        pytest.param("abc", "", "abc", id="all healthy"),
        pytest.param("b", "", "b", id="one known to be healthy comes before what is not known"),
        pytest.param("", "b", "ac", id="one is not"),
        pytest.param("c", "a", "c", id="one of each"),
        pytest.param("", "abc", "abc", id="none is, so all are used"),
    ],
)
def test_the_healthy_are_candidates(healthy: str, unhealthy: str, expected: str) -> None:
    pool, backends = pool_of("a", "b", "c")
    for backend in backends:
        if backend.where.host in healthy:
            backend.worked()
        elif backend.where.host in unhealthy:
            backend.failed("it does not answer")
    assert names_of(pool.candidates("u1")) == list(expected)


def test_a_dead_one_is_no_candidate_even_if_connections_to_it_work() -> None:
    """Another gateway without such connections sees only that its health checks fail."""
    pool = BackendPool(AsGiven(), lambda where: Backend(where, HealthTracker(rise=1, fall=2)))
    pool.update(map(url, "ab"))
    a, b = pool.active
    for backend in (a, b):
        backend.passed(began=0)
    for _ in range(2):
        a.failed_check("no pong", began=0)
        a.worked()
    assert (a.healthy, a.dead) == (True, True)
    assert pool.candidates("u1") == [b]
    for _ in range(2):
        b.failed_check("no pong", began=0)
        b.worked()
    assert pool.candidates("u1") == [a, b], "but if all look bad, all are used"


def test_the_backend_of_a_users_other_connections_comes_first() -> None:
    pool, (a, b, c) = pool_of("a", "b", "c")
    assert pool.candidates("u1", c) == [c, a, b]
    c.failed("it does not answer")
    assert pool.candidates("u1", c) == [c, a, b], "also if it is in doubt"
    assert pool.candidates("u2") == [a, b], "but nobody else's"
    a.worked()
    assert pool.candidates("u1", c) == [c, a]
    c.failed_check("no pong", began=0)
    assert pool.candidates("u1", c) == [a], "unless it is dead"
    c.passed(began=0)
    assert pool.candidates("u1", c) == [c, a]


def test_an_ejected_backend_is_used_only_if_nothing_else_is_left() -> None:
    pool, (a, b, c) = pool_of("a", "b", "c")
    a.outlier.ejected = True
    assert pool.candidates("u1") == [b, c]
    b.failed("it does not answer")
    assert pool.candidates("u1") == [c]
    c.failed("it does not answer")
    assert pool.candidates("u1") == [a]
    a.failed("it does not answer")
    assert pool.candidates("u1") == [a, b, c]


def test_a_user_with_live_sessions_follows_them_to_an_ejected_backend() -> None:
    pool, (a, b) = pool_of("a", "b")
    b.outlier.ejected = True
    assert pool.candidates("u1", b) == [b, a]
    assert pool.candidates("u2", a) == [a]
    b.failed("it does not answer")
    assert pool.candidates("u1", b) == [b, a]
    b.failed_check("no pong", began=0)
    assert pool.candidates("u1", b) == [a]


def test_the_balancer_orders_them_by_user() -> None:
    pool = BackendPool(Balancer(Strategy.STICKY, random.Random(1)), make)  # noqa: S311 - not for secrets
    pool.update(map(url, "abcd"))
    orders = {tuple(names_of(pool.candidates(f"u{number}"))) for number in range(50)}
    assert len(orders) > 10
    assert all(sorted(order) == list("abcd") for order in orders)
    assert pool.candidates("u1") == pool.candidates("u1")


def test_a_backend_is_made_of_its_url() -> None:
    made: list[BackendUrl] = []

    def note(where: BackendUrl) -> Backend:
        made.append(where)
        return make(where)

    BackendPool(AsGiven(), note).update(map(url, "ab"))
    assert made == [url("a"), url("b")]
