"""When a side is pinged, when it is dead (RFC 6455 §5.5.2) and when a session is idle, look by look."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.websocket.keepalive import Advice, Idleness, Keepalive, Signs, Times

NOTHING, PING, SILENT, STUCK = Advice
TIMES = Times(interval=10, timeout=5)


class Look(NamedTuple):
    """What is seen of a side at `now`, and what that should lead to; `last_byte` is a time."""

    now: float
    expected: Advice
    heard: int = 0
    answers: int = 0
    inside_frame: bool = False
    written: int = 100
    taken: int = 100
    waiting: bool = False
    deaf: bool = False
    may_ping: bool = True
    last_byte: float = -math.inf


def look(keepalive: Keepalive, seen: Look, *, thorough: bool = False) -> Advice:
    """Look, and send the ping if that is the advice; bytes of pings are in `written` and `taken` from then on.

    Unless it is `thorough`, a glance comes first, as it does for a side that is read and for which nothing waits.
    """
    if not (thorough or seen.waiting or seen.deaf) and keepalive.glance(seen.now, seen.heard):
        return NOTHING
    signs = Signs(
        heard=seen.heard,
        answers=seen.answers,
        inside_frame=seen.inside_frame,
        written=seen.written,
        taken=seen.taken,
        waiting=seen.waiting,
        deaf=seen.deaf,
        may_ping=seen.may_ping,
        quiet=lambda: seen.now - seen.last_byte,
    )
    advice = keepalive.look(seen.now, signs)
    if advice is PING:
        keepalive.ping_sent(seen.written)
    return advice


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([Look(9.5, NOTHING), Look(10, PING)], id="pinged after the interval"),
        pytest.param(
            [Look(5, NOTHING, heard=1), Look(9.9, NOTHING, heard=1), Look(10, PING, heard=1)],
            id="heard, nobody knows when: pinged after the interval since the look before at the latest",
        ),
        pytest.param(
            [
                Look(5, NOTHING, heard=1),
                Look(10, NOTHING, heard=1, last_byte=4),
                Look(13.9, NOTHING, heard=1, last_byte=4),
                Look(14, PING, heard=1, last_byte=4),
            ],
            id="heard, and the time is known: pinged after the interval since then",
        ),
        pytest.param(
            [Look(10, PING), Look(15, NOTHING, 1, 1), Look(20, PING, 1, 1), Look(25, NOTHING, 2, 2), Look(30, PING, 2, 2)],
            id="answered at once: pinged at every interval",
        ),
        pytest.param(
            [Look(10, PING), Look(14, NOTHING, 1, 1), Look(20, NOTHING, 1, 1, last_byte=13), Look(23, PING, 1, 1, last_byte=13)],
            id="answered late",
        ),
        pytest.param([Look(10, PING), Look(14.5, NOTHING), Look(15, SILENT), Look(16, SILENT)], id="silent"),
        pytest.param([Look(10, PING), Look(14, NOTHING, 99), Look(15, SILENT, 200)], id="messages instead of the pong"),
        pytest.param(
            [Look(10, PING, written=0, taken=0), Look(15, SILENT, 99, written=8, taken=8)],
            id="messages instead of the pong, and nothing was written before the ping",
        ),
        pytest.param(
            [Look(10, PING), Look(15, SILENT, 0, 0), Look(16, NOTHING, 1, 1), Look(25, PING, 1, 1)],
            id="an answer that comes too late, but before the end",
        ),
        pytest.param(
            [
                Look(10, PING),
                Look(14, NOTHING, 50, inside_frame=True),
                Look(18, NOTHING, 90, inside_frame=True),
                Look(22, NOTHING, 99),
                Look(26.9, NOTHING, 99),
                Look(27, SILENT, 120),
            ],
            id="no pong can be sent inside a frame",
        ),
        pytest.param(
            [Look(10, PING, 50, inside_frame=True), Look(15, SILENT, 50, inside_frame=True)],
            id="a frame of which nothing comes any more",
        ),
        pytest.param(
            [Look(10, PING), Look(12, NOTHING, taken=105), Look(15, SILENT, taken=110)],
            id="the kernel acknowledges the ping",
        ),
        pytest.param(
            [Look(10, PING), Look(12, NOTHING, written=500, taken=200), Look(15, SILENT, written=900, taken=800)],
            id="the kernel acknowledges messages after the ping",
        ),
        pytest.param(
            [
                Look(5, NOTHING, written=100, taken=40),
                Look(10, PING, written=100, taken=50),
                Look(14, NOTHING, written=110, taken=70),
                Look(18, NOTHING, written=110, taken=99),
                Look(22, NOTHING, written=110, taken=110),
                Look(23, SILENT, written=110, taken=110),
            ],
            id="a slow reader on its way to the ping",
        ),
        pytest.param(
            [
                Look(10, PING),
                Look(14, NOTHING, written=500, taken=110, waiting=True),
                Look(18, NOTHING, written=500, taken=200, waiting=True),
                Look(22, NOTHING, written=500, taken=490),
                Look(26.9, NOTHING, written=500, taken=500),
                Look(27, SILENT, written=500, taken=500),
            ],
            id="it takes what waits",
        ),
        pytest.param(
            [
                Look(2, NOTHING, 1, waiting=True),
                Look(6, NOTHING, 2, waiting=True),
                Look(7, STUCK, 3, waiting=True),
            ],
            id="it takes nothing, though it speaks",
        ),
        pytest.param(
            [
                Look(2, NOTHING, waiting=True),
                Look(6, NOTHING, taken=101, waiting=True),
                Look(9, NOTHING, taken=101),
                Look(10, PING, taken=101),
            ],
            id="it took all of it",
        ),
        pytest.param([Look(10, NOTHING, waiting=True)], id="no ping behind what waits"),
        pytest.param([Look(10, PING), Look(15, STUCK, waiting=True)], id="silent, and something waits"),
        pytest.param([Look(4, NOTHING, waiting=True, may_ping=False), Look(9, STUCK, waiting=True, may_ping=False)], id="stuck inside a frame"),
        pytest.param(
            [Look(10, NOTHING, may_ping=False), Look(11, PING)], id="no ping inside a frame, but after it"
        ),
        pytest.param(
            [Look(10, NOTHING, deaf=True), Look(19.5, NOTHING), Look(20, PING)], id="not read from, so not blamed"
        ),
        pytest.param(
            [Look(10, PING), Look(20, NOTHING, deaf=True), Look(24.5, NOTHING), Look(25, SILENT)],
            id="not read from while its pong is awaited",
        ),
        pytest.param(
            [Look(10, PING), Look(12, NOTHING, 1, 1, deaf=True), Look(20, NOTHING), Look(22, PING)],
            id="answered just before it is not read from any more",
        ),
        pytest.param(
            [Look(4, NOTHING, waiting=True, deaf=True), Look(9, STUCK, waiting=True, deaf=True)],
            id="not read from, but it takes nothing either",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("thorough", [False, True])
def test_looks(looks: list[Look], *, thorough: bool) -> None:
    keepalive = Keepalive(TIMES, now=0)
    assert look(keepalive, Look(0, NOTHING), thorough=thorough) is NOTHING
    assert [seen.expected for seen in looks] == [look(keepalive, seen, thorough=thorough) for seen in looks]


def test_switched_off() -> None:
    keepalive = Keepalive(Times(interval=0, timeout=5), now=0)
    assert look(keepalive, Look(1e9, NOTHING)) is NOTHING
    assert keepalive.next_look(0) == math.inf
    keepalive.ping_sent(100)
    assert not keepalive.pinged
    assert not keepalive.on
    assert Keepalive(TIMES, now=0).on


def test_repr() -> None:
    keepalive = Keepalive(TIMES, now=0)
    look(keepalive, Look(10, PING))
    assert repr(keepalive) == "<Keepalive since=10 pinged=True>"


def test_how_long_a_ping_is_unanswered() -> None:
    keepalive = Keepalive(TIMES, now=0)
    assert keepalive.unanswered(9) == 0
    look(keepalive, Look(10, PING))
    assert keepalive.unanswered(13) == 3
    look(keepalive, Look(14, NOTHING, 1, inside_frame=True))
    assert keepalive.unanswered(16) == 2
    look(keepalive, Look(16, NOTHING, 2, 1))
    assert keepalive.unanswered(19) == 0


@pytest.mark.parametrize(
    ("looks", "now", "wait"),
    [
        pytest.param([], 0, 2.5, id="twice in the shorter time"),
        pytest.param([], 7, 3, id="at the interval"),
        pytest.param([Look(10, PING)], 10, 2.5, id="while a pong is awaited"),
        pytest.param([Look(10, PING)], 12, 3, id="at the time-out"),
        pytest.param([Look(10, NOTHING, may_ping=False)], 10, 0.625, id="at the end of a frame"),
        pytest.param([Look(5, NOTHING, waiting=True)], 6.5, 3.5, id="when it is stuck for too long"),
    ],
)
def test_when_to_look_again(looks: list[Look], now: float, wait: float) -> None:
    keepalive = Keepalive(TIMES, now=0)
    for seen in looks:
        look(keepalive, seen)
    assert keepalive.next_look(now) == wait


@given(
    gaps=st.lists(st.floats(0.1, 30), max_size=20),
    answers_after=st.floats(0, 4),
)
def test_whoever_answers_lives_and_is_pinged_in_time(gaps: list[float], answers_after: float) -> None:
    """A side that speaks after these gaps and answers each ping; looked at exactly when the keepalive wants it."""
    keepalive = Keepalive(TIMES, now=0)
    now, last_byte, heard, answers = 0.0, 0.0, 0, 0
    speaks, pong = [sum(gaps[: i + 1]) for i in range(len(gaps))], math.inf
    end = sum(gaps) + 40
    while now < end:
        now += max(keepalive.next_look(now), 0.01)
        while speaks and speaks[0] <= now:
            last_byte, heard = max(last_byte, speaks.pop(0)), heard + 1
        if pong <= now:
            last_byte, heard, answers, pong = max(last_byte, pong), heard + 1, answers + 1, math.inf
        advice = look(keepalive, Look(now, NOTHING, heard, answers, last_byte=last_byte))
        assert advice in (NOTHING, PING)
        if advice is PING:
            assert 10 <= now - last_byte <= 10.02
            pong = now + answers_after


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 8), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans()
        ),
        max_size=40,
    )
)
def test_nobody_is_dead_too_early_and_whoever_is_silent_is_in_the_end(
    looks: list[tuple[int, bool, bool, bool, bool, bool]],
) -> None:
    keepalive = Keepalive(TIMES, now=0)
    now = heard = taken = life = 0
    asked = False
    for gap, speaks, takes, waiting, deaf, may_ping in looks:
        now += gap
        heard += speaks
        taken += takes
        seen = Look(now, NOTHING, heard, 0, speaks, 1 << 30, taken, waiting, deaf, may_ping)
        advice = look(keepalive, seen)
        if speaks or (waiting and takes) or deaf:
            life = now
        assert advice is not PING or (may_ping and not asked and not waiting)
        assert advice is not SILENT or now - life >= 5
        asked = asked or advice is PING
    # From here on it says and takes nothing.
    last = [look(keepalive, Look(now + seconds, NOTHING, heard, taken=taken)) for seconds in range(1, 26)]
    assert SILENT in last


STEPS = st.builds(
    Look,
    now=st.integers(0, 8),
    expected=st.just(NOTHING),
    heard=st.integers(0, 1),
    answers=st.integers(0, 1),
    inside_frame=st.booleans(),
    written=st.integers(0, 1),
    taken=st.integers(0, 1),
    waiting=st.booleans(),
    deaf=st.booleans(),
    may_ping=st.booleans(),
    last_byte=st.integers(-9, 0),
)
"""Looks in which the times and the counters are what they have grown by since the look before."""


@given(st.lists(STEPS))
def test_a_glance_leads_to_what_a_look_leads_to(steps: list[Look]) -> None:
    glancing, thorough = Keepalive(TIMES, now=0), Keepalive(TIMES, now=0)
    seen = Look(0, NOTHING, written=0, taken=0)
    growing = ("now", "heard", "answers", "written", "taken")
    for step in steps:
        grown = {name: getattr(seen, name) + getattr(step, name) for name in growing}
        seen = step._replace(**grown, last_byte=seen.now + step.last_byte)
        assert look(glancing, seen) is look(thorough, seen, thorough=True)
        assert glancing.next_look(seen.now) == thorough.next_look(seen.now)


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
    idleness = Idleness(seconds=0, now=0)
    assert not idleness.exceeded(1e9, received=0, control=0)
    assert idleness.next_look(0) == math.inf


@pytest.mark.parametrize(("now", "wait"), [(0, 5), (3, 7), (9, 1)])
def test_when_to_look_for_idleness_again(now: float, wait: float) -> None:
    assert Idleness(seconds=10, now=0).next_look(now) == wait


def test_repr_of_idleness() -> None:
    assert repr(Idleness(seconds=10, now=3)) == "<Idleness since=3>"
