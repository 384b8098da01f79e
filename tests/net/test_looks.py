"""The looks at sessions: when they come, and what one of them cannot do to the others."""

from __future__ import annotations

import asyncio
import math

from memmie_gateway.net.sessions.looks import MOST_AT_ONCE, Looks


class Session:
    """Notes when it is looked at."""

    def __init__(self, looks: Looks, *, again: float = math.inf, broken: bool = False) -> None:
        self._looks = looks
        self._again = again
        self._broken = broken
        self.looked: list[float] = []
        self.came = asyncio.Event()

    def look(self) -> None:
        self.looked.append(asyncio.get_running_loop().time())
        self.came.set()
        if self._broken:
            raise RuntimeError("broken")
        self._looks.schedule(self, self._again)


async def test_a_look_comes_in_time_and_the_next_one_when_it_says() -> None:
    looks = Looks(0.2)
    session = Session(looks, again=0.05)
    began = asyncio.get_running_loop().time()
    looks.schedule(session, 0.1)
    while len(session.looked) < 3:
        session.came.clear()
        await session.came.wait()
    assert session.looked[0] - began >= 0.1
    assert session.looked[2] - session.looked[0] >= 0.1
    looks.cancel(session)
    assert repr(looks) == "<Looks 0>"


async def test_the_last_time_that_was_said_counts() -> None:
    looks = Looks(0.2)
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
    looks = Looks(0.2)
    broken, other = Session(looks, broken=True), Session(looks)
    looks.schedule(broken, 0.01)
    looks.schedule(other, 0.01)
    await other.came.wait()
    assert [context["message"] for context in complaints] == ["a session could not be looked at"]


async def test_all_who_are_due_at_once_get_their_turn() -> None:
    looks = Looks(0.2)
    sessions = [Session(looks) for _ in range(2 * MOST_AT_ONCE + 1)]
    for session in sessions:
        looks.schedule(session, 0.01)
    await asyncio.gather(*(session.came.wait() for session in sessions))
    assert {len(session.looked) for session in sessions} == {1}


async def test_nothing_runs_while_there_is_nobody_to_look_at() -> None:
    looks = Looks(math.inf)
    looks.schedule(Session(looks), math.inf)
    assert looks._timer is None
    session = Session(looks)
    looks.schedule(session, 0.01)
    await session.came.wait()

    def at_rest() -> bool:
        return looks._timer is None

    while not at_rest():  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
