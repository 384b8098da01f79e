"""The Evictor: which sessions it ends, when, and in which mode; the pace itself is in `core.sessions.evictions`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
from tests.net.pair import until

from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.sessions.evictions import Evictions, Evidence, Mode
from memmie_gateway.net.sessions.evictor import Eviction, Evictor
from memmie_gateway.net.sessions.live import Live
from memmie_gateway.net.sessions.session import Session


class Ended:
    """All that the Evictor wants of a session."""

    def __init__(self) -> None:
        self.closing: object | None = None
        self.causes: list[Cause] = []

    def end(self, cause: Cause) -> None:
        self.causes.append(cause)
        self.closing = cause


class Observed:
    """Notes what would have been ended."""

    def __init__(self) -> None:
        self.would: list[tuple[Evidence, Cause]] = []

    def would_evict(self, session: Live, evidence: Evidence, cause: Cause) -> None:
        del session
        self.would.append((evidence, cause))


Make = Callable[..., Evictor]


def sessions(count: int) -> list[Session]:
    return [cast("Session", Ended()) for _ in range(count)]


def ended(those: list[Session]) -> int:
    return sum(session.closing is not None for session in those)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """`evictor = make(per_second=500, mode=Mode.ACT)`."""
    made: list[Evictor] = []

    def make(per_second: float = 500, mode: Mode = Mode.ACT, events: Observed | None = None) -> Evictor:
        evictions: Evictions[Eviction] = Evictions(per_second)
        made.append(Evictor(evictions, mode, lambda: 1000, events or Observed()))
        return made[-1]

    yield make
    for evictor in made:
        evictor.stop()


async def test_a_session_is_ended_at_once_with_the_cause(make: Make) -> None:
    evictor, (session,) = make(), sessions(1)
    evictor.submit(session, Evidence.UNHEALTHY, Cause.BACKEND_UNHEALTHY)
    assert cast("Ended", session).causes == [Cause.BACKEND_UNHEALTHY]
    assert evictor.evicted[Evidence.UNHEALTHY] == 1


async def test_many_are_ended_at_the_pace_and_the_first_at_once(make: Make) -> None:
    evictor, many = make(per_second=500), sessions(200)
    began = time.monotonic()
    for session in many:
        evictor.submit(session, Evidence.SILENT, Cause.CLIENT_SILENT)
    assert 1 <= ended(many) <= 20 + 500 * (time.monotonic() - began) + 1
    assert sum(number for _, number in evictor.waiting()) == 200 - ended(many)
    await until(lambda: ended(many) == 200)
    assert time.monotonic() - began >= 180 / 500 - 0.01
    assert not evictor._evictions
    assert evictor._timer is None


async def test_a_session_waits_once_for_the_same_evidence(make: Make) -> None:
    evictor, (first, second) = make(per_second=0.001), sessions(2)
    evictor.submit(first, Evidence.SILENT, Cause.CLIENT_SILENT)
    for _ in range(3):
        evictor.submit(second, Evidence.SILENT, Cause.CLIENT_SILENT)
    evictor.submit(second, Evidence.MOVE, Cause.MOVED)
    waiting = dict(evictor.waiting())
    assert (waiting[Evidence.SILENT], waiting[Evidence.MOVE]) == (1, 1)


async def test_what_does_not_hold_any_more_is_dropped_and_may_be_submitted_again(make: Make) -> None:
    evictor, (first, second) = make(per_second=100), sessions(2)
    evictor.submit(first, Evidence.SILENT, Cause.CLIENT_SILENT)
    silent = [False]
    for _ in range(4):  # use up the burst
        evictor.submit(sessions(1)[0], Evidence.SILENT, Cause.CLIENT_SILENT)
    evictor.submit(second, Evidence.SILENT, Cause.CLIENT_SILENT, holds=lambda: silent[0])
    await until(lambda: not evictor._evictions)
    assert second.closing is None
    evictor.submit(second, Evidence.SILENT, Cause.CLIENT_SILENT)
    await until(lambda: second.closing is not None)


async def test_a_session_that_ends_by_itself_costs_nothing(make: Make) -> None:
    evictor, (first, second, third) = make(per_second=20), sessions(3)
    for session in (first, second, third):
        evictor.submit(session, Evidence.SILENT, Cause.CLIENT_SILENT)
    second.end(Cause.IDLE)
    await until(lambda: third.closing is not None)
    assert cast("Ended", second).causes == [Cause.IDLE]
    assert evictor.evicted[Evidence.SILENT] == 2


async def test_observing_counts_and_reports_each_once_and_ends_nobody(make: Make) -> None:
    events = Observed()
    evictor, many = make(per_second=0, mode=Mode.OBSERVE, events=events), sessions(3)
    for _ in range(2):
        for session in many:
            evictor.submit(session, Evidence.SILENT, Cause.CLIENT_SILENT)
    assert ended(many) == 0
    assert events.would == [(Evidence.SILENT, Cause.CLIENT_SILENT)] * 3
    assert evictor.evicted[Evidence.SILENT] == 3


async def test_off_does_nothing_at_all(make: Make) -> None:
    events = Observed()
    evictor, many = make(mode=Mode.OFF, events=events), sessions(3)
    for session in many:
        evictor.submit(session, Evidence.SILENT, Cause.CLIENT_SILENT)
    assert ended(many) == 0
    assert not events.would
    assert not any(evictor.evicted.values())
    assert repr(evictor) == "<Evictor off <Evictions waiting=0>>"


async def test_an_end_that_fails_holds_up_no_other_one(make: Make) -> None:
    evictor, (broken, well, later) = make(per_second=50), sessions(3)
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))

    def fail() -> None:
        raise ZeroDivisionError

    evictor.submit(broken, Evidence.SILENT, Cause.CLIENT_SILENT, end=fail)
    evictor.submit(well, Evidence.SILENT, Cause.CLIENT_SILENT)
    await until(lambda: well.closing is not None)
    evictor.submit(later, Evidence.SILENT, Cause.CLIENT_SILENT)
    await until(lambda: later.closing is not None)
    assert [type(problem["exception"]) for problem in problems] == [ZeroDivisionError]


async def test_an_end_may_submit_another_session(make: Make) -> None:
    evictor, (first, second) = make(per_second=0), sessions(2)

    def end() -> None:
        first.end(Cause.CLIENT_SILENT)
        evictor.submit(second, Evidence.SILENT, Cause.CLIENT_SILENT)

    evictor.submit(first, Evidence.SILENT, Cause.CLIENT_SILENT, end=end)
    await until(lambda: ended([first, second]) == 2)
    assert evictor._timer is None


async def test_after_the_stop_nobody_is_ended(make: Make) -> None:
    evictor, many = make(per_second=1), sessions(3)
    for session in many:
        evictor.submit(session, Evidence.SILENT, Cause.CLIENT_SILENT)
    evictor.stop()
    evictor.stop()
    assert (ended(many), evictor._timer) == (1, None)
