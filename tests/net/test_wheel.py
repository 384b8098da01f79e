"""The wheel that turns by itself: when calls come, and what one of them cannot do to the others."""

from __future__ import annotations

import asyncio
import math
import time

from memmie_gateway.net.clock import loop_time
from memmie_gateway.net.sessions.wheel import AT_ONCE, PAUSE_SECONDS, TURN_SECONDS, Wheel

TICK = 0.01


class Session:
    """Notes when it is looked at, which takes `seconds`."""

    def __init__(
        self, looks: Looks, *, again: float = math.inf, broken: bool = False, seconds: float = 0
    ) -> None:
        self._looks = looks
        self._again = again
        self._broken = broken
        self._seconds = seconds
        self.looked: list[float] = []
        self.came = asyncio.Event()

    def look(self) -> None:
        self.looked.append(loop_time())
        self.came.set()
        end = time.perf_counter() + self._seconds
        while time.perf_counter() < end:
            pass
        if self._broken:
            raise RuntimeError("broken")
        self._looks.schedule(self, self._again)


class Looks(Wheel[Session]):
    """A wheel of sessions, whose times are given from now on; it counts its turns."""

    def __init__(self, tick: float = TICK) -> None:
        super().__init__(Session.look, loop_time, tick=tick)
        self.turns = 0

    def turn(self) -> None:
        self.turns += 1
        super().turn()

    def schedule(self, key: Session, when: float) -> None:
        super().schedule(key, loop_time() + when)


async def test_a_look_comes_in_time_and_the_next_one_when_it_says() -> None:
    looks = Looks()
    session = Session(looks, again=0.05)
    began = loop_time()
    looks.schedule(session, 0.1)
    while len(session.looked) < 3:
        session.came.clear()
        await session.came.wait()
    assert session.looked[0] - began >= 0.1
    assert session.looked[2] - session.looked[0] >= 0.1
    looks.cancel(session)
    assert repr(looks) == "<TimerWheel 0>"


async def test_the_last_time_that_was_said_counts() -> None:
    looks = Looks()
    never, later, soon = Session(looks), Session(looks), Session(looks)
    for session, seconds in (
        (never, 0.01),
        (never, math.inf),
        (later, 0.01),
        (later, 60),
        (soon, 60),
        (soon, 0.05),
    ):
        looks.schedule(session, seconds)
    await soon.came.wait()
    assert not never.looked
    assert not later.looked


async def test_a_broken_one_ends_no_looks_at_the_others() -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    looks = Looks()
    broken, other = Session(looks, broken=True), Session(looks)
    looks.schedule(broken, 0.01)
    looks.schedule(other, 0.01)
    await other.came.wait()
    assert [context["message"] for context in complaints] == ["a call that was due has failed"]


async def test_long_looks_are_made_in_several_turns_with_pauses_between() -> None:
    looks = Looks(tick=600)
    sessions = [Session(looks, seconds=TURN_SECONDS / AT_ONCE) for _ in range(2 * AT_ONCE + 1)]
    for session in sessions:
        looks.schedule(session, 0)
    looks.turn()
    assert sum(bool(session.looked) for session in sessions) == AT_ONCE
    await asyncio.gather(*(session.came.wait() for session in sessions))
    assert {len(session.looked) for session in sessions} == {1}
    assert looks.turns == 3
    (second,), (third,) = sessions[AT_ONCE].looked, sessions[2 * AT_ONCE].looked
    assert third - second >= PAUSE_SECONDS / 2  # the clocks of the loops are coarse


async def test_a_turn_after_a_pause_comes_in_place_of_the_one_after_a_tick() -> None:
    looks = Looks()
    sessions = [Session(looks, seconds=TURN_SECONDS) for _ in range(AT_ONCE + 1)]
    for session in sessions:
        looks.schedule(session, 0)
    looks.turn()
    await sessions[-1].came.wait()
    await asyncio.sleep(2 * TICK)  # another turn would come before this
    assert looks.turns == 2


async def test_a_turn_ends_although_one_is_always_due() -> None:
    looks = Looks()
    session = Session(looks, again=-1)
    looks.schedule(session, -1)
    looks.turn()
    looked = len(session.looked)
    while len(session.looked) == looked:
        session.came.clear()
        await session.came.wait()
    looks.stop()


async def test_nothing_runs_while_there_is_nobody_to_look_at() -> None:
    looks = Looks()
    looks.schedule(Session(looks), math.inf)
    assert looks._timer is None
    session = Session(looks)
    looks.schedule(session, 0.01)
    await session.came.wait()

    def at_rest() -> bool:
        return looks._timer is None

    while not at_rest():  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
