"""The closing handshake: its table, named scenarios, and any walk through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.outcomes import Blame, Cause, Side
from memmie_gateway.core.websocket.closing import TRANSITIONS, ClosingHandshake, Event, Say, Shut, State, Step

CLIENT, STUDIO = Side.CLIENT, Side.BACKEND
OPEN, SENT, RECEIVED, DONE, LOST = State
IDLE = Cause.IDLE.ending.words
GONE = Cause.BACKEND_GONE.ending.words
CLIENT_GONE = Cause.CLIENT_GONE.ending.words

# What the end of RFC 6455 §7 asks for, written out: a cell for every state and event.
EXPECTED = {
    #           SEND  RECEIVE   LOSE
    OPEN: (SENT, RECEIVED, LOST),
    SENT: (SENT, DONE, LOST),
    RECEIVED: (DONE, RECEIVED, LOST),
    DONE: (DONE, DONE, LOST),
    LOST: (LOST, LOST, LOST),
}


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_state_and_event(state: State, event: Event) -> None:
    assert EXPECTED[state][list(Event).index(event)] is TRANSITIONS[state].get(event, state)


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_the_machine_follows_the_table(state: State, event: Event) -> None:
    closing = ClosingHandshake()
    closing._state[CLIENT] = state
    closing._advance(CLIENT, event)
    assert EXPECTED[state][list(Event).index(event)] is closing.state(CLIENT)


# Named scenarios: what happens, the steps the gateway then owes.

Scenario = list[tuple[Callable[[ClosingHandshake], list[Step]], list[Step]]]


def closes(side: Side, code: int = 1000, reason: str = "bye") -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.received(side, code, reason)


def leaves(side: Side) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.lost(side)


def ends(cause: Cause) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.end(cause, cause.ending.words)


def expire(closing: ClosingHandshake) -> list[Step]:
    return closing.expire()


BOTH_LEAVE: Scenario = [(leaves(STUDIO), [Shut(CLIENT)]), (leaves(CLIENT), [])]


@pytest.mark.parametrize(
    ("scenario", "cause", "code", "reason"),
    [
        pytest.param(
            [
                (closes(CLIENT, 4001, "enough"), [Say(STUDIO, 4001, "enough", forward=True)]),
                (closes(STUDIO, 4001, ""), [Say(CLIENT, 4001, "", forward=True), Shut(CLIENT), Shut(STUDIO)]),
                *BOTH_LEAVE,
            ],
            Cause.CLIENT_CLOSED, 4001, "enough", id="client closes first",
        ),
        pytest.param(
            [
                (closes(STUDIO, 1011, "oops"), [Say(CLIENT, 1011, "oops", forward=True)]),
                (closes(CLIENT, 1011, ""), [Say(STUDIO, 1011, "", forward=True), Shut(CLIENT), Shut(STUDIO)]),
                *BOTH_LEAVE,
            ],
            Cause.BACKEND_CLOSED, 1011, "oops", id="Studio closes first",
        ),
        pytest.param(
            [
                (closes(CLIENT, 1005, ""), [Say(STUDIO, 1005, "", forward=True)]),
                (leaves(STUDIO), [Say(CLIENT, 1005, ""), Shut(CLIENT)]),
                (leaves(CLIENT), []),
            ],
            Cause.CLIENT_CLOSED, 1005, "", id="a close without a code, and Studio hangs up instead of answering",
        ),
        pytest.param(
            [
                (closes(CLIENT, 1000, "c"), [Say(STUDIO, 1000, "c", forward=True)]),
                (closes(STUDIO, 1001, "s"), [Say(CLIENT, 1001, "s", forward=True), Shut(CLIENT), Shut(STUDIO)]),
                *BOTH_LEAVE,
            ],
            Cause.CLIENT_CLOSED, 1000, "c", id="crossing closes: each gets the other's",
        ),
        pytest.param(
            [
                (leaves(STUDIO), [Say(CLIENT, 1012, GONE)]),
                (closes(CLIENT, 1012, ""), [Shut(CLIENT)]),
                (leaves(CLIENT), []),
            ],
            Cause.BACKEND_GONE, 1006, GONE, id="Studio vanishes",
        ),
        pytest.param(
            [
                (leaves(CLIENT), [Say(STUDIO, 1001, CLIENT_GONE)]),
                (closes(STUDIO, 1001, ""), [Shut(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            Cause.CLIENT_GONE, 1006, CLIENT_GONE, id="the client vanishes",
        ),
        pytest.param(
            [
                (closes(CLIENT), [Say(STUDIO, 1000, "bye", forward=True)]),
                (leaves(CLIENT), []),
                (closes(STUDIO), [Shut(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            Cause.CLIENT_CLOSED, 1000, "bye", id="client lost while Studio owes an answer",
        ),
        pytest.param(
            [
                (closes(STUDIO), [Say(CLIENT, 1000, "bye", forward=True)]),
                (leaves(CLIENT), [Say(STUDIO, 1000, ""), Shut(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            Cause.BACKEND_CLOSED, 1000, "bye", id="client lost while it owes an answer: Studio gets its echo",
        ),
        pytest.param(
            [
                (ends(Cause.IDLE), [Say(CLIENT, 1001, IDLE)]),
                (closes(CLIENT, 1001, ""), [Say(STUDIO, 1001, "", forward=True), Shut(CLIENT)]),
                (leaves(CLIENT), []),
                (closes(STUDIO, 1001, ""), [Shut(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            Cause.IDLE, 1001, IDLE, id="gateway ends gently: Studio is told by the client's answer",
        ),
        pytest.param(
            [
                (ends(Cause.IDLE), [Say(CLIENT, 1001, IDLE)]),
                (leaves(CLIENT), [Say(STUDIO, 1001, CLIENT_GONE)]),
                (leaves(STUDIO), []),
            ],
            Cause.IDLE, 1001, IDLE, id="gateway ends gently and the client hangs up",
        ),
        pytest.param(
            [
                (ends(Cause.IDLE), [Say(CLIENT, 1001, IDLE)]),
                (closes(STUDIO, 4002, "own"), []),
                (leaves(CLIENT), [Say(STUDIO, 4002, ""), Shut(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            Cause.IDLE,
            1001,
            IDLE,
            id="a gentle end crosses a close of Studio's: it gets its own code back",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING), [Say(CLIENT, 1001, Cause.DRAINING.ending.words)]),
                (ends(Cause.INTERNAL), [Say(STUDIO, 1001, Cause.INTERNAL.ending.words)]),
                *BOTH_LEAVE[1:],
                (leaves(STUDIO), []),
            ],
            Cause.DRAINING, 1001, Cause.DRAINING.ending.words, id="gateway ends twice: the first cause stays",
        ),
        pytest.param(
            [
                (
                    ends(Cause.CLIENT_TOO_BIG),
                    [Say(CLIENT, 1009, "message too big"), Say(STUDIO, 1001, "message too big")],
                ),
                (closes(STUDIO, 1001, ""), [Shut(STUDIO)]),
                (closes(CLIENT, 1009, ""), [Shut(CLIENT), Shut(STUDIO)]),
                (leaves(STUDIO), [Shut(CLIENT)]),
                (leaves(CLIENT), []),
            ],
            Cause.CLIENT_TOO_BIG, 1009, "message too big", id="gateway ends for a fault: both are told",
        ),
        pytest.param(
            [
                (closes(CLIENT), [Say(STUDIO, 1000, "bye", forward=True)]),
                (ends(Cause.DRAINING), [Say(CLIENT, 1000, ""), Shut(CLIENT)]),
                (closes(STUDIO), [Shut(CLIENT), Shut(STUDIO)]),
                *BOTH_LEAVE,
            ],
            Cause.CLIENT_CLOSED, 1000, "bye", id="gateway ends while Studio owes an answer: the client gets its echo",
        ),
        pytest.param(
            [
                (closes(CLIENT), [Say(STUDIO, 1000, "bye", forward=True)]),
                (expire, [Say(CLIENT, 1000, ""), Shut(CLIENT), Shut(STUDIO)]),
                *BOTH_LEAVE,
            ],
            Cause.CLIENT_CLOSED, 1000, "bye", id="Studio never answers",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING), [Say(CLIENT, 1001, Cause.DRAINING.ending.words)]),
                (expire, [Say(STUDIO, 1001, ""), Shut(CLIENT), Shut(STUDIO)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            Cause.DRAINING, 1001, Cause.DRAINING.ending.words, id="the client never answers a gentle end",
        ),
        pytest.param(
            [
                (expire, [Say(CLIENT, 1001, ""), Say(STUDIO, 1001, ""), Shut(CLIENT), Shut(STUDIO)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            Cause.CLOSE_LATE, 1006, "", id="a deadline before anything happened",
        ),
    ],
)  # fmt: skip
def test_scenarios(scenario: Scenario, cause: Cause, code: int, reason: str) -> None:
    closing = ClosingHandshake()
    assert not closing.begun
    for happens, expected in scenario:
        assert not closing.finished
        assert expected == happens(closing)
        assert closing.begun
    assert closing.finished
    assert (cause, code, reason) == (closing.cause, closing.code, closing.reason)


@pytest.mark.parametrize("state", State)
def test_nothing_is_forwarded_after_a_close(state: State) -> None:
    closing = ClosingHandshake()
    closing._state[STUDIO] = state
    assert (state in (OPEN, RECEIVED)) is closing.may_write(STUDIO)


def test_repr_tells_both_states() -> None:
    closing = ClosingHandshake()
    closing.received(CLIENT, 1000, "")
    assert repr(closing).startswith("<ClosingHandshake client=received backend=sent cause=Cause.CLIENT_CLOSED")


# Any walk.

GATEWAY_ENDS = [
    cause
    for cause in Cause
    if cause.ending.to_backend and cause not in (Cause.CLIENT_GONE, Cause.BACKEND_GONE)
]  # fmt: skip
HAPPENINGS = st.one_of(
    st.tuples(st.just("close"), st.sampled_from(Side), st.sampled_from([1000, 1005, 4000])),
    st.tuples(st.just("lose"), st.sampled_from(Side), st.none()),
    st.tuples(st.just("end"), st.sampled_from(GATEWAY_ENDS), st.none()),
    st.tuples(st.just("expire"), st.none(), st.none()),
)


class Walk:
    """Carries out what a handshake says as a shell would, and watches that it is sane."""

    def __init__(self) -> None:
        self.closing = ClosingHandshake()
        self.told: dict[Side, int] = {}
        self.heard: dict[Side, int] = {}
        self.lost: set[Side] = set()
        self.shut: set[Side] = set()

    def close(self, side: Side, code: int) -> None:
        if side in self.lost or side in self.heard:
            return  # the scanner ends with the first Close frame
        self.heard[side] = code
        self.carry_out(self.closing.received(side, code, ""), forwarded=code)

    def lose(self, side: Side) -> None:
        self.lost.add(side)
        self.carry_out(self.closing.lost(side))

    def end(self, cause: Cause) -> None:
        before = self.closing.state(CLIENT)
        self.carry_out(self.closing.end(cause, cause.ending.words))
        if cause.ending.by is not Blame.GATEWAY or before is not OPEN:
            assert {CLIENT, STUDIO} == {*self.told, *self.lost}

    def expire(self) -> None:
        self.carry_out(self.closing.expire())
        assert {CLIENT, STUDIO} == {*self.told, *self.lost} == {*self.shut, *self.lost}

    def carry_out(self, steps: Iterable[Step], forwarded: int | None = None) -> None:
        for step in steps:
            assert step.side not in self.lost
            if isinstance(step, Shut):
                assert step.side in self.told  # nobody is hung up on without a word
                self.shut.add(step.side)
                continue
            assert step.side not in self.told
            assert step.forward is (forwarded is not None)
            if step.side in self.heard and not step.forward:
                assert self.heard[step.side] == step.code  # RFC 6455 §5.5.1: the echo
            self.told[step.side] = step.code
        for side in self.told.keys() & self.heard.keys() - self.lost:
            assert side in self.shut
        for side in (CLIENT, STUDIO):
            assert (side not in self.told and side not in self.lost) is self.closing.may_write(side)
        assert (self.lost == {CLIENT, STUDIO}) is self.closing.finished


@settings(max_examples=100, deadline=None)
@given(happenings=st.lists(HAPPENINGS, max_size=12))
def test_any_walk_is_sane_and_its_first_cause_stays(
    happenings: list[tuple[str, Side | Cause | None, int | None]],
) -> None:
    walk = Walk()
    first = None
    for name, *arguments in happenings:
        getattr(walk, name)(*[argument for argument in arguments if argument is not None])
        first = first or (walk.closing.cause, walk.closing.code, walk.closing.reason)
        assert first == (walk.closing.cause, walk.closing.code, walk.closing.reason)
    walk.expire()
    walk.lose(CLIENT)
    walk.lose(STUDIO)
    assert walk.closing.finished
