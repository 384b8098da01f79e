"""When a silent side is pinged, when it is given up (RFC 6455 §5.5.2) and when a session is idle, look by look."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.websocket.keepalive import Advice, Idleness, Keepalive

NOTHING, PING, GIVE_UP = Advice


class Look(NamedTuple):
    """What is seen of a side at `now`, and what that should lead to."""

    now: float
    expected: Advice
    heard: int = 0
    taken: int = 0
    backlog: bool = False
    deaf: bool = False
    may_ping: bool = True


def look(keepalive: Keepalive, seen: Look) -> Advice:
    return keepalive.look(
        seen.now,
        heard=seen.heard,
        taken=seen.taken,
        backlog=seen.backlog,
        deaf=seen.deaf,
        may_ping=seen.may_ping,
    )


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([Look(9.5, NOTHING), Look(10, PING)], id="pinged after the interval"),
        pytest.param([Look(9, NOTHING, heard=1), Look(18.5, NOTHING, 1), Look(19, PING, 1)], id="heard, so later"),
        pytest.param([Look(10, PING), Look(14.5, NOTHING), Look(15, GIVE_UP)], id="given up after the time-out"),
        pytest.param([Look(10, PING), Look(14, NOTHING, 1), Look(23.5, NOTHING, 1), Look(24, PING, 1)], id="answered"),
        pytest.param([Look(10, PING), Look(99, NOTHING, 1), Look(109, PING, 1)], id="answered, looked at late"),
        pytest.param([Look(10, PING), Look(11, NOTHING), Look(12, NOTHING), Look(15, GIVE_UP)], id="pinged only once"),
        pytest.param(
            [Look(10, PING), Look(14, NOTHING, 0, 1, backlog=True), Look(18, NOTHING, 0, 2, backlog=True), Look(23, GIVE_UP, 0, 2, backlog=True)],
            id="a slow reader lives while it works its backlog off",
        ),
        pytest.param(
            [Look(10, PING), Look(14, NOTHING, 0, 1), Look(15, GIVE_UP, 0, 2)],
            id="taking bytes without a backlog is no sign of life",
        ),
        pytest.param(
            [Look(5, NOTHING, 0, 7, backlog=True), Look(14.5, NOTHING, 0, 7, backlog=True), Look(15, PING, 0, 7, backlog=True)],
            id="a backlog that does not move",
        ),
        pytest.param(
            [Look(10, NOTHING, may_ping=False), Look(11, PING)], id="no ping inside a frame, but after it"
        ),
        pytest.param(
            [
                Look(10, NOTHING, 0, 0, backlog=True, may_ping=False),
                Look(14.5, NOTHING, 0, 0, backlog=True, may_ping=False),
                Look(15, GIVE_UP, 0, 0, backlog=True, may_ping=False),
            ],
            id="stuck inside a frame: given up without a ping",
        ),
        pytest.param(
            [
                Look(10, NOTHING, 0, 0, backlog=True, may_ping=False),
                Look(14, NOTHING, 0, 5, backlog=True, may_ping=False),
                Look(18, NOTHING, 0, 6, backlog=True, may_ping=False),
                Look(23, GIVE_UP, 0, 6, backlog=True, may_ping=False),
            ],
            id="slow inside a frame",
        ),
        pytest.param(
            [Look(10, NOTHING, deaf=True), Look(19.5, NOTHING), Look(20, PING)], id="not read from, so not blamed"
        ),
        pytest.param(
            [Look(10, PING), Look(20, NOTHING, deaf=True), Look(24.5, NOTHING), Look(25, GIVE_UP)],
            id="not read from while its pong is awaited",
        ),
        pytest.param(
            [Look(10, PING, 0, 0, backlog=True, deaf=True), Look(15, GIVE_UP, 0, 0, backlog=True, deaf=True)],
            id="not read from, but it takes nothing either",
        ),
    ],
)  # fmt: skip
def test_looks(looks: list[Look]) -> None:
    keepalive = Keepalive(interval=10, timeout=5, now=0)
    assert [seen.expected for seen in looks] == [look(keepalive, seen) for seen in looks]


def test_switched_off() -> None:
    keepalive = Keepalive(interval=0, timeout=5, now=0)
    assert look(keepalive, Look(1e9, NOTHING)) is NOTHING


def test_repr() -> None:
    keepalive = Keepalive(interval=10, timeout=5, now=0)
    look(keepalive, Look(10, PING))
    assert repr(keepalive) == "<Keepalive since=10 waiting=True>"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 8), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans()
        ),
        max_size=40,
    )
)
def test_whoever_is_heard_is_never_given_up_and_whoever_is_silent_is(
    looks: list[tuple[int, bool, bool, bool, bool, bool]],
) -> None:
    keepalive = Keepalive(interval=10, timeout=5, now=0)
    now = heard = taken = quiet_since = 0
    asked = False
    for gap, speaks, takes, backlog, deaf, may_ping in looks:
        now += gap
        heard += speaks
        taken += takes
        advice = look(keepalive, Look(now, NOTHING, heard, taken, backlog, deaf, may_ping))
        if speaks:
            quiet_since, asked = now, False
        assert advice is not PING or (may_ping and not asked)
        assert advice is NOTHING or not speaks
        assert advice is not GIVE_UP or now - quiet_since >= 15  # never before interval and time-out
        asked = asked or advice is PING
        if advice is GIVE_UP:
            return
    # From here on it says and takes nothing: pinged at the interval, given up at the time-out.
    last = [look(keepalive, Look(now + seconds, NOTHING, heard, taken)) for seconds in range(1, 26)]
    assert GIVE_UP in last


# Idleness.


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([(4.5, 0, 0), (9.5, 0, 0), (10, 0, 0)], [False, False, True], id="never any data"),
        pytest.param([(5, 7, 0), (14.5, 7, 0), (15, 7, 0)], [False, False, True], id="data, and then none"),
        pytest.param([(9, 1, 0), (18, 2, 0), (27, 3, 0)], [False] * 3, id="a byte now and then"),
        pytest.param([(5, 6, 6), (10, 12, 12)], [False, True], id="control frames are no data"),
        pytest.param([(5, 6, 0), (14, 20, 13), (23, 20, 13)], [False] * 3, id="both at once"),
        pytest.param([(99, 5, 0), (109, 5, 0)], [False, True], id="data, looked at late"),
        pytest.param([(9, 9, 0), (18, 2, 0), (28, 2, 0)], [False, False, True], id="another backend: counted anew"),
    ],
)  # fmt: skip
def test_idle_looks(looks: list[tuple[float, int, int]], expected: list[bool]) -> None:
    idleness = Idleness(seconds=10, now=0)
    assert expected == [
        idleness.exceeded(now, received=received, control=control) for now, received, control in looks
    ]


def test_no_limit_on_idleness() -> None:
    assert not Idleness(seconds=0, now=0).exceeded(1e9, received=0, control=0)


def test_repr_of_idleness() -> None:
    assert repr(Idleness(seconds=10, now=3)) == "<Idleness since=3>"
