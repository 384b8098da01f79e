"""Time-outs of the same length: who is late, and what one of them cannot do to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.clock import loop_clock
from tests.net.pair import until

from memmie_gateway.net.clock import Clock, loop_time
from memmie_gateway.net.timeouts import Timeouts

SECONDS = 0.05


class Late(list[str]):
    """The keys that were late, in order."""

    def __init__(self, then: Callable[[str], object] = lambda _: None) -> None:
        self._then = then

    def __call__(self, key: str) -> None:
        self.append(key)
        self._then(key)


async def test_a_key_is_late_once_its_time_is_over() -> None:
    late = Late()
    timeouts = Timeouts(SECONDS, late, Clock())
    began = loop_time()
    for key in "abc":
        timeouts.start(key)
    assert repr(timeouts) == "<Timeouts 3 of 0.05 s>"
    await until(lambda: len(late) == 3)
    assert loop_time() - began >= SECONDS
    assert late == ["a", "b", "c"]


async def test_there_is_one_timer_for_all_keys() -> None:
    class Counting(Clock):
        loops = 0

        def loop(self) -> asyncio.AbstractEventLoop:
            self.loops += 1
            return super().loop()

    clock, late = Counting(), Late()
    timeouts = Timeouts(SECONDS, late, clock)
    for key in "abc":
        timeouts.start(key)
    assert clock.loops == 1, "the loop was needed for one timer"
    await until(lambda: late == ["a", "b", "c"])


async def test_a_stopped_key_is_never_late() -> None:
    late = Late()
    timeouts = Timeouts(SECONDS, late, Clock())
    for key in "abc":
        timeouts.start(key)
    timeouts.stop("a")
    timeouts.stop("c")
    timeouts.stop("unknown")
    await until(lambda: late == ["b"])
    timeouts.start("d")
    await until(lambda: late == ["b", "d"])
    assert repr(timeouts) == "<Timeouts 0 of 0.05 s>"


async def test_a_key_that_began_later_is_late_later() -> None:
    late = Late()
    timeouts = Timeouts(SECONDS, late, Clock())
    timeouts.start("a")
    await asyncio.sleep(SECONDS / 2)
    began = loop_time()
    timeouts.start("b")
    await until(lambda: late == ["a", "b"])
    assert loop_time() - began >= SECONDS


@pytest.mark.one_loop
async def test_the_timer_is_for_the_first_key_that_is_left_and_there_is_none_without_keys() -> None:
    late = Late()
    with loop_clock() as loop:
        timeouts = Timeouts(30, late, Clock())
        for key in "abc":
            timeouts.start(key)
            loop.put_forward(10)
        for number in range(1, 4):
            await until(lambda: len(late) >= number)  # noqa: B023 - it is waited for here
            assert late == ["a", "b", "c"][:number]
            loop.put_forward(10)
        assert timeouts._timer is None
        timeouts.start("d")
        timeouts.stop("d")
        loop.put_forward(30)
        await until(lambda: timeouts._timer is None)


async def test_a_late_key_may_start_again() -> None:
    late = Late(lambda key: timeouts.start(key) if len(late) < 3 else None)
    timeouts = Timeouts(SECONDS, late, Clock())
    began = loop_time()
    timeouts.start("a")
    await until(lambda: len(late) == 3)
    assert loop_time() - began >= 3 * SECONDS


async def test_a_failure_with_one_key_does_not_stop_the_others() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    late = Late(lambda key: {"b": 1}[key])
    timeouts = Timeouts(SECONDS, late, Clock())
    timeouts.start("a")
    timeouts.start("b")
    await until(lambda: late == ["a", "b"])
    assert [type(each["exception"]) for each in reported] == [KeyError]


async def test_a_pause_of_the_process_does_not_count() -> None:
    late = Late()
    with loop_clock() as loop:
        clock = Clock()
        clock.start()
        timeouts = Timeouts(SECONDS, late, clock)
        before = clock.time()
        timeouts.start("a")
        loop.put_forward(60)
        await until(lambda: late == ["a"])
        assert clock.pauses == 1
        assert SECONDS <= clock.time() - before < 30
        timeouts.start("b")
        await until(lambda: late == ["a", "b"])
        clock.stop()


async def test_a_key_may_stop_another_one_that_is_late_at_the_same_time() -> None:
    late = Late(lambda _: timeouts.stop("b"))
    timeouts = Timeouts(SECONDS, late, Clock())
    for key in "abc":
        timeouts.start(key)
    await until(lambda: late == ["a", "c"])
    assert repr(timeouts) == "<Timeouts 0 of 0.05 s>"


async def test_a_key_that_is_late_may_start_another_one_anew() -> None:
    times: list[float] = []

    def restart(key: str) -> None:
        times.append(loop_time())
        if key == "a":
            timeouts.stop("b")
            timeouts.start("b")

    late = Late(restart)
    timeouts = Timeouts(SECONDS, late, Clock())
    timeouts.start("a")
    timeouts.start("b")
    await until(lambda: late == ["a", "b"])
    assert times[1] - times[0] >= SECONDS
