"""The places for questions to Auth: how many, for whom, and what happens to those that wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from memmie_gateway.net.auth.places import Places
from memmie_harness.conformance.peers import PATIENCE


class Crowd:
    """Tasks that hold places, or wait for one."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._free = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.inside: list[str] = []

    async def come(self, *names: str) -> None:
        """Let tasks come; the address of each is the first letter of its name."""
        for name in names:
            self._tasks[name] = asyncio.create_task(self._hold(name))
        await self.settle()

    async def leave(self, name: str) -> None:
        """Let one leave, whether it waits or not."""
        self._tasks[name].cancel()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def outcome(self, name: str) -> BaseException | None:
        await asyncio.wait([self._tasks[name]])
        return None if self._tasks[name].cancelled() else self._tasks[name].exception()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _hold(self, name: str) -> None:
        async with self._places.hold(name[0]):
            self.inside.append(name)
            try:
                await self._free.wait()
            finally:
                self.inside.remove(name)


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    crowd = Crowd(Places(4, PATIENCE))
    yield crowd
    await crowd.stop()


async def test_an_address_has_at_most_half_of_the_places_and_holds_up_nobody(crowd: Crowd) -> None:
    await crowd.come(*(f"a{number}" for number in range(100)), "b1", "c1")
    assert crowd.inside == ["a0", "a1", "b1", "c1"]
    assert repr(crowd._places) == "<Places <FairLine free=0 waiting=98>>"


async def test_those_that_wait_come_in_turn(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "b1", "b2", "a3", "a4", "c1")
    await crowd.leave("b1")
    assert crowd.inside == ["a1", "a2", "b2", "c1"]
    await crowd.leave("a1")
    assert crowd.inside == ["a2", "b2", "c1", "a3"]


async def test_one_that_leaves_while_it_waits_leaves_no_gap(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "a3", "a4")
    await crowd.leave("a3")
    await crowd.leave("a1")
    assert crowd.inside == ["a2", "a4"]


async def test_one_that_leaves_when_its_place_comes_gives_it_back(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "a3", "a4")
    crowd._tasks["a1"].cancel()
    while crowd._places._line._lines.get("a", "34")[0] != crowd._places._line._lines.get("a", "34")[-1]:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    crowd._tasks["a3"].cancel()  # its place has come, but it has not gone on yet
    await crowd.settle()
    assert crowd.inside == ["a2", "a4"]


async def test_no_place_in_time() -> None:
    crowd = Crowd(Places(2, 0.05))
    await crowd.come("a1", "a2")
    assert isinstance(await crowd.outcome("a2"), TimeoutError)
    await crowd.leave("a1")
    await crowd.come("a3")
    assert crowd.inside == ["a3"]
    await crowd.stop()
