"""The invariants can fail: each is shown what it must find, and next to it what it must let pass."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos import invariants
from tests.chaos.faults import FAULTS, schedule
from tests.chaos.faults.studios import StudioAdded
from tests.chaos.invariants import DRAINED, MOVED
from tests.chaos.pauses import Pauses
from tests.chaos.records import Call, Spell, Usage, Watch
from tests.chaos.splits import Splits
from tests.chaos.stage import Stage
from tests.chaos.witness import read_journals

from memmie_harness.numbered import Life, Refusal

A, B = "ws://gateway-a/ws", "ws://gateway-b/ws"


def life(sent: list[int], acknowledged: list[int], ended: float | None = None, *close: object) -> Life:
    code, reason = close or (1006, "")
    assert isinstance(code, int)
    return Life(
        0.0,
        sent=sent,
        acknowledged=acknowledged,
        ended=ended,
        code=code,
        reason=str(reason),
        url=A,
        studio="studio-1",
    )


def at(connection: str, *numbers: int) -> list[tuple[str, int]]:
    return [(connection, number) for number in numbers]


TWICE_SENT = [life([1, 2, 3], [1, 2], 5.0), life([3, 4], [3, 4])]


@pytest.mark.parametrize(
    ("journal", "found"),
    [
        pytest.param([*at("c1", 1, 2), *at("c2", 3, 4)], 0, id="the third was lost, and sent again"),
        pytest.param([*at("c1", 1, 2, 3), *at("c2", 3, 4)], 0, id="its ack was lost, and it was sent again"),
        pytest.param([*at("c1", 1, 2), *at("c2", 3)], 1, id="an acknowledged message is missing"),
        pytest.param([*at("c1", 1), *at("c2", 3, 4)], 1, id="one in the middle is missing"),
        pytest.param([*at("c1", 1, 2, 2), *at("c2", 3, 4)], 2, id="a message is doubled"),
        pytest.param([*at("c1", 2, 1), *at("c2", 3, 4)], 1, id="two are in the wrong order"),
        pytest.param([*at("c1", 1, 2), *at("c2", 3, 4, 5)], 2, id="one was never sent"),
    ],
)
def test_a_lost_or_doubled_message_is_found(journal: list[tuple[str, int]], found: int) -> None:
    assert len(invariants.delivered("u", TWICE_SENT, journal)) == found


def test_a_message_without_ack_needs_an_end_that_its_client_saw() -> None:
    assert invariants.acknowledged_or_ended("u", [life([1, 2], [1], 5.0), life([2], [2])]) == []
    assert invariants.acknowledged_or_ended("u", [life([1, 2], [1])])
    assert invariants.acknowledged_or_ended("u", [life([1, 2, 3], [1, 3], 5.0)])


@pytest.mark.parametrize(
    ("sequence", "pushed", "found"),
    [
        pytest.param([1, 2, 3], [(0, 0), (3, 3)], 0, id="all"),
        pytest.param([1, 3], [(0, 0)], 1, id="lost"),
        pytest.param([1, 2, 2], [(0, 0)], 1, id="doubled"),
        pytest.param([2, 1], [(0, 0)], 1, id="reordered"),
        pytest.param([1, 2], [(0, 0), (3, 2)], 1, id="the last one is lost"),
    ],
)
def test_a_witness_notices_a_lost_or_doubled_event(
    sequence: list[int], pushed: list[tuple[int, int]], found: int
) -> None:
    watch = Watch(life([], []), sequence=sequence, pushed=pushed)
    assert len(invariants.watched("u", [watch])) == found


KILLED = Spell("killed", 10.0, 12.0, ends=True, studios=["studio-1"])


@pytest.mark.parametrize(
    ("spell", "ended", "found"),
    [
        pytest.param(KILLED, 11.0, 0, id="of the Studio that was killed"),
        pytest.param(KILLED, 9.0, 1, id="before"),
        pytest.param(KILLED, 12.1 + invariants.GRACE_SECONDS, 1, id="long after"),
        pytest.param(replace(KILLED, studios=["studio-2"]), 11.0, 1, id="of a healthy Studio"),
        pytest.param(replace(KILLED, studios=[], gateways=[A]), 11.0, 0, id="through the gateway"),
        pytest.param(replace(KILLED, studios=[], gateways=[B]), 11.0, 1, id="through the other gateway"),
        pytest.param(replace(KILLED, studios=[], pairs=[(A, "studio-1")]), 11.0, 0, id="of the pair"),
        pytest.param(replace(KILLED, studios=[], pairs=[(B, "studio-1")]), 11.0, 1, id="of the other pair"),
        pytest.param(replace(KILLED, ends=False), 11.0, 1, id="of a fault that may not end it"),
    ],
)
def test_an_end_that_no_fault_explains_is_found(spell: Spell, ended: float, found: int) -> None:
    assert len(invariants.unnoticed("u", [life([1], [1], ended)], [spell])) == found


def test_a_move_needs_no_fault_but_the_metric() -> None:
    assert invariants.unnoticed("u", [life([1], [1], 5.0, *MOVED)], []) == []
    assert invariants.moves_counted(3, 3) == []
    assert invariants.moves_counted(4, 3)


def test_a_late_ack_is_found() -> None:
    slow = replace(KILLED, ends=False, late=True)
    assert invariants.late("u", 9.0, life([1], []), [slow], 11.0) == []
    assert invariants.late("u", 0.5, life([1], []), [], 11.0) == []
    assert invariants.late("u", 9.0, life([1], []), [], 11.0)


WHOLE = life([1, 2, 3], [1], 5.0, *DRAINED)


@pytest.mark.parametrize(
    ("gone", "journal", "found"),
    [
        pytest.param(WHOLE, at("c1", 1, 2, 3), 0, id="all of it arrived"),
        pytest.param(WHOLE, at("c1", 1, 2), 1, id="what was held back is lost in a drain"),
        pytest.param(life([1, 2, 3], [1], 5.0, *MOVED), at("c1", 1), 1, id="or by a move"),
        pytest.param(life([1, 2, 3], [1], 5.0, 1006, ""), at("c1", 1), 0, id="nobody told it to go"),
        pytest.param(replace(WHOLE, code=1000, left=True), at("c1", 1, 2), 1, id="or when the client leaves"),
        pytest.param(replace(WHOLE, unsure=1), at("c1", 1, 2), 0, id="the last one may not have left"),
        pytest.param(replace(WHOLE, unsure=1), at("c1", 1), 1, id="but the others have"),
        pytest.param(replace(WHOLE, unsure=2), at("c1", 1), 0, id="the last two, in one body"),
        pytest.param(WHOLE, [], 1, id="nothing arrived"),
    ],
)
def test_what_is_lost_when_a_gateway_tells_a_client_to_go_is_found(
    gone: Life, journal: list[tuple[str, int]], found: int
) -> None:
    assert len(invariants.forwarded("u", [gone], journal, [])) == found


def test_a_studio_in_the_reach_of_a_fault_need_not_get_what_is_forwarded() -> None:
    of_gateway = replace(KILLED, studios=[], gateways=[A])
    gone = replace(WHOLE, ended=11.0)
    assert invariants.forwarded("u", [gone], [], [KILLED]) == []
    assert invariants.forwarded("u", [gone], [], [of_gateway])


def test_limits_in_seconds_are_longer_by_the_pauses_of_the_run() -> None:
    pauses = Pauses()
    pauses.add(12.0, 14.0)
    late_end = life([1], [1], 13.0 + invariants.GRACE_SECONDS)
    assert invariants.unnoticed("u", [late_end], [KILLED])
    assert invariants.unnoticed("u", [late_end], [KILLED], pauses) == []
    assert invariants.late("u", 5.0, life([1], []), [], 15.0)
    assert invariants.late("u", 5.0, life([1], []), [], 15.0, pauses=pauses) == []
    assert pauses.within(11.0, 13.0) == pauses.within(13.0, 20.0) == 1.0
    assert pauses.within(14.0, 20.0) == 0.0
    assert pauses.total == pauses.longest == 2.0


def test_a_refusal_outside_a_fault_is_found() -> None:
    refusal = Refusal(11.0, 503, "")
    assert invariants.refused("u", [refusal], [replace(KILLED, refused=True)]) == []
    assert invariants.refused("u", [refusal], [KILLED])


def test_an_end_without_a_word_is_found() -> None:
    gone = life([1], [1], 11.0)
    drained = replace(KILLED, studios=[], gateways=[A])
    assert invariants.told("u", [gone], [drained]) == []
    assert invariants.told("u", [replace(gone, code=1012)], [KILLED]) == []
    assert invariants.told("u", [gone], [KILLED])
    assert invariants.told("u", [gone], [replace(drained, gateways=[B])])


def call(status: int, words: str = "", method: str = "GET", ended: float | None = 11.5) -> Call:
    return Call(A, method, 7, 11.0, ended, status, words)


FROZEN = Spell("frozen", 10.0, 12.0, late=True, gateways=[A])


@pytest.mark.parametrize(
    ("asked", "spell", "found"),
    [
        pytest.param(call(200), None, 0, id="an answer"),
        pytest.param(call(201, method="POST"), None, 0, id="an answer to a POST"),
        pytest.param(call(201), None, 1, id="not an answer to a GET"),
        pytest.param(call(503, "no_studio"), KILLED, 0, id="a refusal during a fault"),
        pytest.param(call(503, "no_studio"), None, 1, id="a refusal without a fault"),
        pytest.param(call(503, "something"), KILLED, 1, id="a code that is nowhere"),
        pytest.param(call(500, "no_studio"), KILLED, 1, id="the status of another code"),
        pytest.param(call(0, "cut"), KILLED, 1, id="no answer, and the gateway is there"),
        pytest.param(call(0, "cut"), replace(KILLED, gateways=[A]), 0, id="no answer of an ended gateway"),
        pytest.param(call(200, ended=30.0), None, 1, id="a late answer"),
        pytest.param(call(0, ended=None), KILLED, 1, id="no answer at the end of the run"),
        pytest.param(call(200, ended=30.0), FROZEN, 0, id="a late answer of a frozen gateway"),
        pytest.param(call(200, ended=30.0), replace(FROZEN, gateways=[B]), 1, id="of the other one"),
    ],
)
def test_a_request_without_a_good_answer_is_found(asked: Call, spell: Spell | None, found: int) -> None:
    assert len(invariants.answered("u", [asked], [spell] if spell else [], 40.0)) == found


def test_a_post_that_is_sent_twice_or_lost_is_found() -> None:
    created, refused = call(201, method="POST"), call(502, "studio_broke_off", method="POST")
    assert invariants.posted("u", [created], at("POST", 7)) == []
    assert invariants.posted("u", [refused], []) == invariants.posted("u", [refused], at("POST", 7)) == []
    assert invariants.posted("u", [created], at("POST", 8))
    assert invariants.posted("u", [refused], at("POST", 7, 7))


HELD = Usage(
    connections=0,
    pending=1,
    to_auth=0,
    to_studios=0,
    descriptors=20,
    tasks=10,
    places=0,
    socketio=0,
    memory=100 * 2**20,
)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(replace(HELD, connections=1), id="a connection"),
        pytest.param(replace(HELD, pending=2), id="a pending connection"),
        pytest.param(replace(HELD, to_auth=1), id="a connection to Auth"),
        pytest.param(replace(HELD, to_studios=1), id="a connection to a Studio"),
        pytest.param(replace(HELD, descriptors=40), id="descriptors"),
        pytest.param(replace(HELD, tasks=40), id="tasks"),
        pytest.param(replace(HELD, places=1), id="a place of a user"),
        pytest.param(replace(HELD, socketio=1), id="a client of Socket.IO"),
        pytest.param(replace(HELD, memory=200 * 2**20), id="memory"),
    ],
)
def test_a_leak_is_found(after: Usage) -> None:
    assert invariants.leaks("g", HELD, HELD, HELD) == []
    assert len(invariants.leaks("g", HELD, HELD, after)) == 1


def test_a_user_who_stays_split_is_found_once() -> None:
    splits = Splits(bound=10)
    assert splits.see(0, {"u"}, {}) == []
    assert splits.see(10, {"u"}, {}) == []
    assert splits.see(10.5, {"u"}, {})
    assert splits.see(11, {"u"}, {}) == []
    assert splits.longest == 11


def test_a_split_counts_from_the_end_of_the_last_fault_and_from_its_own_begin() -> None:
    splits = Splits(bound=10)
    splits.see(0, {"u"}, {})
    splits.see(8, {"u"}, {}, calm=False)
    splits.see(9, {"u"}, {})
    assert splits.see(18, {"u"}, {}) == []
    splits.see(18.5, set(), {})
    splits.see(19, {"u"}, {})
    assert splits.see(28, {"u"}, {}) == []


def test_the_split_of_a_user_who_was_moved_lately_counts_from_when_the_next_move_may_begin() -> None:
    splits = Splits(bound=10, again=600)
    moved = {"u": -100.0}
    splits.see(0, {"u"}, moved)
    assert splits.see(510, {"u"}, moved) == []
    assert splits.longest == 10
    assert splits.see(511, {"u"}, moved)


def test_journals_of_several_lives_of_a_studio_are_several_connections(tmp_path: Path) -> None:
    (tmp_path / "studio-1.1.journal").write_text("u 1 c1\nv 1 c2\n")
    (tmp_path / "studio-1.2.journal").write_text("u 2 c1\n")
    assert read_journals(tmp_path) == {
        "u": [("studio-1.1/c1", 1), ("studio-1.2/c1", 2)],
        "v": [("studio-1.1/c2", 1)],
    }


def test_the_seed_decides_the_schedule(tmp_path: Path) -> None:
    def of(seed: int, only: str | None = None) -> list[str]:
        return [str(fault) for fault in schedule(stage, random.Random(seed), 400, only)]  # noqa: S311 - no secret

    stage = Stage(tmp_path)
    assert of(1) == of(1) != of(2)
    rng = random.Random(1)  # noqa: S311 - no secret
    assert {type(fault) for fault in schedule(stage, rng, 400)} >= {*FAULTS, StudioAdded}
    assert set(of(1, "GatewayFrozen")) <= {"gateway frozen: gateway-1", "gateway frozen: gateway-2"}
    assert of(1, "StudioRemoved")[:3] == [
        "studio added: studio-4",
        "studio removed: studio-4",
        "studio added: studio-4",
    ]
