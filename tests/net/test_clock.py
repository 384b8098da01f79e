"""The clock that stands still while the process does not run, and the time-outs that follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.clock import Clock as LoopClock
from tests.clock import loop_clock

from memmie_gateway.core.pause import SETTLE_SECONDS
from memmie_gateway.net import clock
from memmie_gateway.net.clock import Clock


@pytest.fixture
async def ahead() -> AsyncIterator[LoopClock]:
    with loop_clock() as loop:
        yield loop


@pytest.fixture
async def awake(ahead: LoopClock) -> AsyncIterator[Clock]:
    """A clock that runs, on a loop the time of which can be put forward, which looks like a pause."""
    del ahead
    awake = Clock()
    awake.start()
    yield awake
    awake.stop()


async def test_it_is_the_time_of_the_loop_until_there_is_a_pause(awake: Clock, ahead: LoopClock) -> None:
    before = awake.time()
    ahead.put_forward(60)
    assert awake.time() == before
    assert (awake.pauses, clock.pauses()) == (1, 1)
    assert repr(awake).startswith("<Clock <Pauses missed=6")


async def test_a_pause_is_noticed_also_if_nobody_reads_the_clock(awake: Clock) -> None:
    """Otherwise a quiet gateway would take its own quiet for a pause."""
    before = awake.time()
    await asyncio.sleep(1)
    assert 0.9 < awake.time() - before < 2
    assert awake.pauses == 0


async def test_without_a_start_it_is_the_time_of_the_loop(ahead: LoopClock) -> None:
    clock_at_rest = Clock()
    before = clock_at_rest.time()
    ahead.put_forward(60)
    assert clock_at_rest.time() >= before + 60
    assert (clock_at_rest.pauses, clock.pauses()) == (0, 0)
    clock_at_rest.stop()


async def test_the_first_clock_of_a_loop_is_the_one_of_its_time_outs(awake: Clock, ahead: LoopClock) -> None:
    second = Clock()
    second.start()
    second.stop()
    ahead.put_forward(60)
    assert (clock.pauses(), awake.pauses) == (1, 1)


async def test_a_time_out_ends_what_takes_too_long(awake: Clock) -> None:
    del awake
    with pytest.raises(TimeoutError), clock.timeout(0.05):
        await asyncio.Event().wait()


async def test_a_time_out_does_not_count_a_pause(awake: Clock, ahead: LoopClock) -> None:
    del awake
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def too_late() -> None:
        with clock.timeout(0.1):
            ahead.put_forward(60)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await too_late()
    assert loop.time() - began >= 60 + SETTLE_SECONDS


async def test_a_time_out_that_is_not_reached_leaves_nothing_behind(awake: Clock) -> None:
    del awake
    limit = clock.timeout(0.05)
    with limit:
        pass
    await asyncio.sleep(0.1)
    assert repr(limit) == "<Timeout 0.05 s>"


async def test_a_task_that_is_cancelled_at_the_same_time_stays_cancelled(awake: Clock) -> None:
    limit = awake.timeout(0)

    async def wait() -> None:
        with limit:
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    limit._check()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_in_the_block_passes_through(awake: Clock) -> None:
    del awake
    with pytest.raises(KeyError), clock.timeout(1):
        raise KeyError
    assert (task := asyncio.current_task()) is not None
    assert not task.cancelling()
