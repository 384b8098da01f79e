"""The closing handshake: its table, named scenarios, and any walk through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memmie_gateway.core.outcomes import Blame, Cause, Side
from memmie_gateway.core.websocket.closing import (
    AFTER_RECEIVE,
    AFTER_SEND,
    ClosingHandshake,
    Flow,
    Flows,
    State,
)
from memmie_gateway.core.websocket.closing_steps import Abort, Finish, HangUp, Say, Shut, Step
from memmie_gateway.core.websocket.continuity import on_leg_lost

CLIENT, STUDIO = Side.CLIENT, Side.BACKEND
OPEN, SENT, RECEIVED, DONE, LOST = State
BETWEEN, INSIDE, BROKEN = Flow
BETWEEN_FRAMES: Flows = {CLIENT: BETWEEN, STUDIO: BETWEEN}
IDLE = Cause.IDLE.ending.words
GONE = Cause.BACKEND_GONE.ending.words
CLIENT_GONE = Cause.CLIENT_GONE.ending.words
TOKEN_ENDED = Cause.TOKEN_ENDED.ending.words
TOO_FAST = Cause.MESSAGE_RATE.ending.words
SILENT = Cause.CLIENT_SILENT.ending.words
STUDIO_SILENT = Cause.BACKEND_SILENT.ending.words

# What the end of RFC 6455 §7 asks for, written out: a cell for every state and event.
EXPECTED = {
    #           SEND  RECEIVE   LOSE
    OPEN: (SENT, RECEIVED, LOST),
    SENT: (SENT, DONE, LOST),
    RECEIVED: (DONE, RECEIVED, LOST),
    DONE: (DONE, DONE, LOST),
    LOST: (LOST, LOST, LOST),
}


@pytest.mark.parametrize("state", State)
def test_every_state_and_close_frame(state: State) -> None:
    assert EXPECTED[state][:2] == (AFTER_SEND[state], AFTER_RECEIVE[state])


@pytest.mark.parametrize("state", State)
def test_the_machine_follows_the_table(state: State) -> None:
    events: list[Callable[[ClosingHandshake], list[Step]]] = [
        ends(Cause.IDLE),
        closes(CLIENT),
        leaves(CLIENT),
    ]
    for event, expected in zip(events, EXPECTED[state], strict=True):
        closing = ClosingHandshake()
        closing._state[CLIENT] = state
        closing._received_codes[CLIENT] = 1000
        event(closing)
        assert closing.state(CLIENT) is expected


# Named scenarios: what happens, the steps the gateway then owes.

Scenario = list[tuple[Callable[[ClosingHandshake], list[Step]], list[Step]]]


def closes(side: Side, code: int = 1000, reason: str = "bye") -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.received(side, code, reason)


def leaves(side: Side, *, inside_frame: bool = False) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.lost(side, on_leg_lost(side), inside_frame=inside_frame)


def ends(cause: Cause, flows: Flows = BETWEEN_FRAMES) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.end(cause, cause.ending.words, flows)


def gives_up(
    side: Side, cause: Cause, flows: Flows = BETWEEN_FRAMES
) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.give_up(side, cause, cause.ending.words, flows)


def drops(
    side: Side, cause: Cause, *, inside_frame: bool = False
) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.drop(side, cause, inside_frame=inside_frame)


def completes(side: Side) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.frame_ended(side)


def expires(flows: Flows) -> Callable[[ClosingHandshake], list[Step]]:
    return lambda closing: closing.expire(flows)


expire = expires(BETWEEN_FRAMES)


def flows(to_client: Flow = BETWEEN, to_studio: Flow = BETWEEN) -> Flows:
    return {CLIENT: to_client, STUDIO: to_studio}


BOTH_LEAVE: Scenario = [(leaves(STUDIO), []), (leaves(CLIENT), [])]  # both are shut already


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
                    ends(Cause.TOKEN_ENDED),
                    [Say(CLIENT, 4401, TOKEN_ENDED), Say(STUDIO, 1001, TOKEN_ENDED)],
                ),
                (closes(STUDIO, 1001, ""), [Shut(STUDIO)]),
                (closes(CLIENT, 4401, ""), [Shut(CLIENT), Shut(STUDIO)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            Cause.TOKEN_ENDED, 4401, TOKEN_ENDED, id="neither side nor the gateway is to blame: both are told",
        ),
        pytest.param(
            [
                (ends(Cause.MESSAGE_RATE), [Say(STUDIO, 1001, TOO_FAST)]),
                (closes(STUDIO, 1001, ""), [Say(CLIENT, 1008, TOO_FAST), Shut(STUDIO)]),
                (leaves(STUDIO), []),
                (closes(CLIENT, 1008, ""), [Shut(CLIENT)]),
                (leaves(CLIENT), []),
            ],
            Cause.MESSAGE_RATE, 1008, TOO_FAST, id="the client is to blame: it is told after Studio's Close",
        ),
        pytest.param(
            [
                (ends(Cause.MESSAGE_RATE), [Say(STUDIO, 1001, TOO_FAST)]),
                (ends(Cause.DRAINING), []),
                (closes(CLIENT, 4000, ""), []),
                (closes(STUDIO, 1001, ""), [Say(CLIENT, 1008, TOO_FAST), Shut(CLIENT), Shut(STUDIO)]),
                *BOTH_LEAVE,
            ],
            Cause.MESSAGE_RATE, 1008, TOO_FAST, id="a client that closes after its fault is told why, too",
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
        pytest.param(
            [
                (drops(CLIENT, Cause.CLIENT_SILENT), [Abort(CLIENT), Say(STUDIO, 1001, SILENT)]),
                (leaves(CLIENT), []),
                (closes(STUDIO, 1001, ""), [Shut(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            Cause.CLIENT_SILENT, 1006, SILENT, id="a dead client gets no Close frame",
        ),
        pytest.param(
            [
                (drops(STUDIO, Cause.BACKEND_SILENT), [Abort(STUDIO), Say(CLIENT, 1012, STUDIO_SILENT)]),
                (closes(CLIENT, 1012, ""), [Shut(CLIENT)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            Cause.BACKEND_SILENT, 1012, STUDIO_SILENT, id="a dead Studio gets no Close frame",
        ),
        pytest.param(
            [
                (drops(STUDIO, Cause.BACKEND_SILENT, inside_frame=True), [Abort(STUDIO), Abort(CLIENT)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            Cause.BACKEND_SILENT, 1012, STUDIO_SILENT, id="a dead Studio leaves an incomplete frame",
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
    assert (state is RECEIVED) is closing.owes_close(STUDIO)


# A frame is under way to a side that is to be told.

DRAIN = Cause.DRAINING.ending.words
BROKEN_BY_STUDIO = Cause.BACKEND_VIOLATION.ending.words
TOO_BIG = Cause.CLIENT_TOO_BIG.ending.words


@pytest.mark.parametrize(
    ("scenario", "client_code"),
    [
        pytest.param(
            [
                (ends(Cause.DRAINING, flows(INSIDE)), [Finish(STUDIO)]),
                (completes(STUDIO), [Say(CLIENT, 1001, DRAIN)]),
                (completes(STUDIO), []),
                (closes(CLIENT, 1001, ""), [Say(STUDIO, 1001, "", forward=True), Shut(CLIENT)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            1001, id="the Close waits for the end of the frame, and is said once",
        ),
        pytest.param(
            [
                (ends(Cause.TOKEN_ENDED, flows(INSIDE, INSIDE)), [Finish(STUDIO), Finish(CLIENT)]),
                (completes(CLIENT), [Say(STUDIO, 1001, TOKEN_ENDED)]),
                (completes(STUDIO), [Say(CLIENT, 4401, TOKEN_ENDED)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            4401, id="each side waits for the end of its own frame",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING, flows(INSIDE)), [Finish(STUDIO)]),
                (closes(CLIENT, 1000, ""), [Say(STUDIO, 1000, "", forward=True)]),
                (completes(STUDIO), [Say(CLIENT, 1001, DRAIN), Shut(CLIENT)]),
                (closes(STUDIO, 1000, ""), [Shut(CLIENT), Shut(STUDIO)]),
                *BOTH_LEAVE,
            ],
            1000, id="a side that closes while its Close waits is not cut off inside the frame",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING, flows(INSIDE)), [Finish(STUDIO)]),
                (leaves(STUDIO, inside_frame=True), [Abort(CLIENT)]),
                (leaves(CLIENT), []),
            ],
            None, id="the end of the frame will never come, as its sender is gone",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING, flows(INSIDE)), [Finish(STUDIO)]),
                (leaves(CLIENT), [Say(STUDIO, 1001, CLIENT_GONE)]),
                (completes(STUDIO), []),
                (leaves(STUDIO), []),
            ],
            None, id="the side that was to be told is gone",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING, flows(INSIDE)), [Finish(STUDIO)]),
                (expire, [Say(STUDIO, 1001, ""), Abort(CLIENT), Shut(STUDIO)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            None, id="the frame does not end in time",
        ),
        pytest.param(
            [
                (ends(Cause.IDLE, flows(BROKEN)), [Abort(CLIENT)]),
                (leaves(CLIENT), [Say(STUDIO, 1001, CLIENT_GONE)]),
                (leaves(STUDIO), []),
            ],
            None, id="nothing valid can be said inside a frame that will not end",
        ),
        pytest.param(
            [
                (leaves(STUDIO, inside_frame=True), [Abort(CLIENT)]),
                (leaves(CLIENT), []),
            ],
            None, id="Studio vanishes inside a frame",
        ),
        pytest.param(
            [
                (leaves(CLIENT, inside_frame=True), [Abort(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            None, id="the client vanishes inside a frame",
        ),
        pytest.param(
            [
                (closes(CLIENT, 4000, ""), [Say(STUDIO, 4000, "", forward=True)]),
                (expires(flows(INSIDE)), [Finish(STUDIO), Abort(CLIENT), Shut(STUDIO)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            4000, id="time is up, and the echo would land inside a frame",
        ),
        pytest.param(
            [
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG, flows(INSIDE)), [Say(STUDIO, 1001, TOO_BIG)]),
                (expires(flows(INSIDE)), [Finish(STUDIO), Abort(CLIENT), Shut(STUDIO)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            None, id="after a violation, the other side's frame does not end in time",
        ),
        pytest.param(
            [
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG, flows(INSIDE)), [Say(STUDIO, 1001, TOO_BIG)]),
                (leaves(STUDIO, inside_frame=True), [Abort(CLIENT)]),
                (leaves(CLIENT), []),
            ],
            None, id="after a violation, the other side leaves inside a frame",
        ),
        pytest.param(
            [
                (ends(Cause.MESSAGE_RATE, flows(BETWEEN, INSIDE)), [Finish(CLIENT)]),
                (completes(CLIENT), [Say(STUDIO, 1001, TOO_FAST)]),
                (closes(STUDIO, 1001, ""), [Say(CLIENT, 1008, TOO_FAST), Shut(STUDIO)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            1008, id="too fast inside a frame: Studio is told at its end, the client after Studio's Close",
        ),
    ],
)  # fmt: skip
def test_a_close_never_lands_inside_a_frame(scenario: Scenario, client_code: int | None) -> None:
    closing = ClosingHandshake()
    for happens, expected in scenario:
        assert expected == happens(closing)
    assert closing.finished
    assert client_code == closing.client_code


# A side breaks the protocol: the other one is told first.


@pytest.mark.parametrize(
    ("scenario", "client_code"),
    [
        pytest.param(
            [
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG), [Say(STUDIO, 1001, TOO_BIG)]),
                (closes(STUDIO, 1001, ""), [Say(CLIENT, 1009, TOO_BIG), HangUp(CLIENT), Shut(STUDIO)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            1009, id="the client",
        ),
        pytest.param(
            [
                (gives_up(STUDIO, Cause.BACKEND_VIOLATION), [Say(CLIENT, 1002, BROKEN_BY_STUDIO)]),
                (closes(CLIENT, 1002, ""), [Say(STUDIO, 1002, BROKEN_BY_STUDIO), HangUp(STUDIO), Shut(CLIENT)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            1002, id="Studio",
        ),
        pytest.param(
            [
                (gives_up(STUDIO, Cause.BACKEND_VIOLATION), [Say(CLIENT, 1002, BROKEN_BY_STUDIO)]),
                (leaves(CLIENT), [Say(STUDIO, 1002, BROKEN_BY_STUDIO), HangUp(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            1002, id="the other side leaves instead of closing",
        ),
        pytest.param(
            [
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG), [Say(STUDIO, 1001, TOO_BIG)]),
                (leaves(CLIENT), []),
                (closes(STUDIO, 1001, ""), [Shut(STUDIO)]),
                (leaves(STUDIO), []),
            ],
            None, id="the side to blame leaves before it is told",
        ),
        pytest.param(
            [
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG), [Say(STUDIO, 1001, TOO_BIG)]),
                (expire, [Say(CLIENT, 1009, TOO_BIG), HangUp(CLIENT), Shut(STUDIO)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            1009, id="the other side does not answer: the deadline closes nothing under the words",
        ),
        pytest.param(
            [
                (ends(Cause.MESSAGE_RATE), [Say(STUDIO, 1001, TOO_FAST)]),
                (expire, [Say(CLIENT, 1008, TOO_FAST), HangUp(CLIENT), Shut(STUDIO)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            1008, id="nor under those for a client that is too fast",
        ),
        pytest.param(
            [
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG), [Say(STUDIO, 1001, TOO_BIG)]),
                (
                    gives_up(STUDIO, Cause.BACKEND_VIOLATION),
                    [Say(CLIENT, 1009, TOO_BIG), HangUp(CLIENT), HangUp(STUDIO)],
                ),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            1009, id="both: nothing more can come for the first one",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING), [Say(CLIENT, 1001, DRAIN)]),
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG), [Say(STUDIO, 1001, TOO_BIG), HangUp(CLIENT)]),
                (closes(STUDIO, 1001, ""), [Shut(STUDIO)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            1001, id="the side to blame has its Close frame already",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING), [Say(CLIENT, 1001, DRAIN)]),
                (gives_up(STUDIO, Cause.BACKEND_VIOLATION), []),
                (closes(CLIENT, 1001, ""), [Say(STUDIO, 1002, BROKEN_BY_STUDIO), HangUp(STUDIO), Shut(CLIENT)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            1001, id="the other side has its Close frame already",
        ),
        pytest.param(
            [
                (closes(STUDIO, 4000, ""), [Say(CLIENT, 4000, "", forward=True)]),
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG), [Say(STUDIO, 4000, ""), Shut(STUDIO), HangUp(CLIENT)]),
                (leaves(STUDIO), []),
                (leaves(CLIENT), []),
            ],
            4000, id="instead of an answer to a Close frame",
        ),
        pytest.param(
            [
                (ends(Cause.DRAINING, flows(INSIDE)), [Finish(STUDIO)]),
                (gives_up(CLIENT, Cause.CLIENT_TOO_BIG, flows(INSIDE)), [Say(STUDIO, 1001, TOO_BIG)]),
                (completes(STUDIO), [Say(CLIENT, 1001, DRAIN), HangUp(CLIENT)]),
                (leaves(CLIENT), []),
                (leaves(STUDIO), []),
            ],
            1001, id="the Close frame to the side to blame waits for the end of a frame",
        ),
    ],
)  # fmt: skip
def test_the_side_that_broke_the_protocol_is_told_last(scenario: Scenario, client_code: int | None) -> None:
    closing = ClosingHandshake()
    for happens, expected in scenario:
        assert expected == happens(closing)
    assert closing.finished
    assert client_code == closing.client_code


@pytest.mark.parametrize(
    ("events", "client_code"),
    [
        pytest.param([closes(CLIENT, 4100)], 4100, id="the client's own"),
        pytest.param([closes(STUDIO, 4100)], 4100, id="passed on to the client"),
        pytest.param([closes(STUDIO, 4100), closes(CLIENT, 4200)], 4100, id="the first, not the answer"),
        pytest.param([closes(CLIENT, 1005), closes(STUDIO, 1000)], None, id="the first carried none"),
        pytest.param([ends(Cause.IDLE), closes(CLIENT, 1000)], 1001, id="the gateway's own"),
        pytest.param([leaves(STUDIO)], 1012, id="the gateway's own, as Studio is gone"),
        pytest.param([leaves(CLIENT), closes(STUDIO)], None, id="the client had left before"),
        pytest.param([], None, id="no Close frame at all"),
    ],
)
def test_the_code_between_gateway_and_client(
    events: list[Callable[[ClosingHandshake], list[Step]]], client_code: int | None
) -> None:
    closing = ClosingHandshake()
    for happens in events:
        happens(closing)
    assert client_code == closing.client_code


@pytest.mark.parametrize(
    ("backlogs", "expected"),
    [
        pytest.param([0], [False], id="nobody is behind"),
        pytest.param([500, 400, 1], [True, True, True], id="it gets less each time"),
        pytest.param([500, 500], [True, False], id="it does not move"),
        pytest.param([500, 501], [True, False], id="it grows"),
        pytest.param([500, 0], [True, False], id="all was taken"),
        pytest.param([131], [False], id="only the Close frame was not received"),
        pytest.param([132, 131], [True, True], id="more than the Close frame"),
    ],
)
def test_a_slow_reader_has_time_as_long_as_it_reads(backlogs: list[int], expected: list[bool]) -> None:
    closing = ClosingHandshake()
    assert expected == [closing.progresses(backlog) for backlog in backlogs]


def test_repr_tells_both_states() -> None:
    closing = ClosingHandshake()
    closing.received(CLIENT, 1000, "")
    assert repr(closing).startswith(
        "<ClosingHandshake client=received backend=sent cause=Cause.CLIENT_CLOSED"
    )


# Any walk.

GATEWAY_ENDS = [
    cause
    for cause in Cause
    if cause.ending.to_backend and cause not in (Cause.CLIENT_GONE, Cause.BACKEND_GONE)
]  # fmt: skip
HAPPENINGS = st.one_of(
    st.tuples(st.just("close"), st.sampled_from(Side), st.sampled_from([1000, 1005, 4000])),
    st.tuples(st.just("begin_frame"), st.sampled_from(Side), st.none()),
    st.tuples(st.just("end_frame"), st.sampled_from(Side), st.none()),
    st.tuples(st.just("lose"), st.sampled_from(Side), st.none()),
    st.tuples(st.just("end"), st.sampled_from(GATEWAY_ENDS), st.none()),
    st.tuples(st.just("violate"), st.sampled_from(Side), st.none()),
    st.tuples(st.just("drop"), st.sampled_from(Side), st.none()),
    st.tuples(st.just("expire"), st.none(), st.none()),
)


class Walk:
    """Carries out what a handshake says as a session would, and watches that it is sane."""

    def __init__(self) -> None:
        self.closing = ClosingHandshake()
        self.told: dict[Side, int] = {}
        self.heard: dict[Side, int] = {}
        self.lost: set[Side] = set()
        self.shut: set[Side] = set()
        self.aborted: set[Side] = set()
        self.dropped: set[Side] = set()
        self.ended: set[Side] = set()
        """Sides that have sent a Close frame or a violation."""
        self.cut: set[Side] = set()
        """Sides of which nothing is forwarded any more but the rest of a frame."""
        self.violators: set[Side] = set()
        self.last: Side | None = None
        """The side that is told after the other one's Close frame."""
        self.hung_up: set[Side] = set()
        self.expired = False
        self.inside: set[Side] = set()
        """Sides whose stream stands inside a frame."""

    def flows(self) -> Flows:
        def flow(source: Side) -> Flow:
            if source not in self.inside:
                return BETWEEN
            return BROKEN if source in self.shut | self.aborted | self.lost else INSIDE

        return {side: flow(side.other) for side in Side}

    def begin_frame(self, side: Side) -> None:
        if side not in self.lost | self.ended:
            self.inside.add(side)

    def end_frame(self, side: Side) -> None:
        if side in self.inside and side not in self.lost:
            self.inside.remove(side)
            if side in self.cut:
                self.cut.remove(side)
                self.carry_out(self.closing.frame_ended(side), late=True)

    def close(self, side: Side, code: int) -> None:
        if side in self.lost | self.ended | self.inside:
            return  # the scanner takes no Close frame then
        self.ended.add(side)
        self.heard[side] = code
        forwarded = None if self.last is side.other else code
        self.carry_out(self.closing.received(side, code, ""), forwarded=forwarded)

    def lose(self, side: Side) -> None:
        self.lost.add(side)
        steps = self.closing.lost(side, on_leg_lost(side), inside_frame=side in self.inside)
        self.carry_out(steps)
        if side in self.inside:
            assert side.other in self.lost | self.aborted | self.told.keys()

    def end(self, cause: Cause) -> None:
        before = self.closing.state(CLIENT)
        self.blame({Blame.CLIENT: CLIENT, Blame.BACKEND: STUDIO}.get(cause.ending.by))
        self.carry_out(self.closing.end(cause, cause.ending.words, self.flows()))
        if cause.ending.by is not Blame.GATEWAY or before is not OPEN:
            self.see_both_told()

    def violate(self, side: Side) -> None:
        if side in self.lost | self.aborted | self.shut | self.ended | self.inside:
            return  # the scanner finds none then
        self.ended.add(side)
        self.violators.add(side)
        self.blame(side)
        cause = Cause.CLIENT_VIOLATION if side is CLIENT else Cause.BACKEND_VIOLATION
        self.carry_out(self.closing.give_up(side, cause, cause.ending.words, self.flows()))
        self.see_both_told()

    def blame(self, side: Side | None) -> None:
        if side is not None and self.last is None and self.closing.may_write(side):
            self.last = side

    def waits_for(self, side: Side) -> bool:
        """Whether something may still come from a side for the other one, which is to blame."""
        return side.other is self.last and side not in self.lost | self.heard.keys() | self.violators

    def see_both_told(self) -> None:
        told = {*self.told, *self.lost, *self.aborted, *self.closing._waiting}
        assert {CLIENT, STUDIO} == told | {side.other for side in Side if self.waits_for(side)}

    def drop(self, side: Side) -> None:
        if self.closing.begun:
            return  # a session that is ending is not dropped
        self.dropped.add(side)
        cause = Cause.CLIENT_SILENT if side is CLIENT else Cause.BACKEND_SILENT
        self.carry_out(self.closing.drop(side, cause, inside_frame=side in self.inside))
        assert side not in self.told
        assert side.other in self.aborted | self.told.keys()

    def expire(self) -> None:
        self.expired = True
        self.carry_out(self.closing.expire(self.flows()))
        assert {CLIENT, STUDIO} == {*self.shut, *self.lost, *self.aborted, *self.hung_up}

    def carry_out(self, steps: Iterable[Step], forwarded: int | None = None, *, late: bool = False) -> None:
        for step in steps:
            if isinstance(step, Finish):
                assert step.side in self.inside
                self.cut.add(step.side)
                continue
            assert step.side not in self.lost
            if isinstance(step, Shut):
                assert step.side in self.told.keys() | self.aborted  # nobody is hung up on without a word
                self.shut.add(step.side)
            elif isinstance(step, HangUp):
                assert step.side in self.told
                assert step.side in self.violators or (self.expired and step.side is self.last)
                self.hung_up.add(step.side)
            elif isinstance(step, Abort):
                assert step.side.other in self.inside or step.side in self.dropped
                self.aborted.add(step.side)
            else:
                assert isinstance(step, Say)
                assert step.side not in self.told
                assert step.side.other not in self.inside  # a Close frame never lands inside a frame
                assert step.forward is (forwarded is not None)
                if step.side is self.last:
                    assert self.expired or not self.waits_for(step.side.other)
                elif step.side in self.heard and not (step.forward or late):
                    assert self.heard[step.side] == step.code  # RFC 6455 §5.5.1: the echo
                self.told[step.side] = step.code
        for side in self.told.keys() & self.heard.keys() - self.lost:
            assert side in self.shut | self.hung_up
        assert self.hung_up >= self.told.keys() & self.violators - self.lost
        for side in (CLIENT, STUDIO):
            told = side in {*self.told, *self.aborted, *self.closing._waiting}
            assert (not told and side not in self.lost) is self.closing.may_write(side)
        assert (self.lost == {CLIENT, STUDIO}) is self.closing.finished


@settings(max_examples=100, deadline=None)
@given(happenings=st.lists(HAPPENINGS, max_size=12))
@example(  # after the abort, the end of the frame must not write the Close that waited for it
    happenings=[
        ("begin_frame", CLIENT, None),
        ("close", STUDIO, 1000),
        ("expire", None, None),
        ("end_frame", CLIENT, None),
    ]
)
def test_any_walk_is_sane_and_its_first_cause_stays(
    happenings: list[tuple[str, Side | Cause | None, int | None]],
) -> None:
    walk = Walk()
    first = None
    for name, *arguments in happenings:
        getattr(walk, name)(*[argument for argument in arguments if argument is not None])
        if not walk.closing.begun:
            continue
        first = first or (walk.closing.cause, walk.closing.code, walk.closing.reason)
        assert first == (walk.closing.cause, walk.closing.code, walk.closing.reason)
    walk.expire()
    walk.lose(CLIENT)
    walk.lose(STUDIO)
    assert walk.closing.finished
