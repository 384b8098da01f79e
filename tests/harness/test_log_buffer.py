from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from memmie_harness.targets import TargetError
from memmie_harness.targets.log_buffer import LogBuffer


def is_event(name: str) -> Callable[[Mapping[str, object]], bool]:
    return lambda record: record.get("event") == name


def test_lines_that_are_json_objects_are_records() -> None:
    log = LogBuffer()
    for line in ['{"event": "a"}', "plain", "{broken", "[1]", "", '{"event": "b"}']:
        log.write(line)

    assert log.records == ({"event": "a"}, {"event": "b"})
    assert log.tail(2) == '\n{"event": "b"}'


def test_keeps_only_the_newest_lines() -> None:
    log = LogBuffer(capacity=2)
    for number in range(5):
        log.write(f'{{"n": {number}}}')

    assert [record["n"] for record in log.records] == [3, 4]
    assert log.tail(10) == '{"n": 3}\n{"n": 4}'


async def test_a_past_record_is_found_at_once() -> None:
    log = LogBuffer()
    log.write('{"event": "a", "n": 1}')
    log.write('{"event": "a", "n": 2}')

    assert (await log.wait_for(is_event("a"), within=0))["n"] == 1


async def test_every_waiter_gets_a_future_record() -> None:
    log = LogBuffer()
    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(log.wait_for(is_event("a"), within=5)) for _ in range(2)]
        await asyncio.sleep(0)  # both wait now
        log.write('{"event": "other"}')
        log.write('{"event": "a"}')

    assert [waiter.result() for waiter in waiters] == [{"event": "a"}] * 2


async def test_a_record_that_does_not_come_in_time_is_an_error() -> None:
    log = LogBuffer()
    with pytest.raises(TargetError, match=r"0\.01 seconds are over"):
        await log.wait_for(is_event("a"), within=0.01)

    log.write('{"event": "a"}')  # no waiter is left


async def test_the_end_of_the_log_fails_present_and_later_waiters() -> None:
    log = LogBuffer()
    waiter = asyncio.create_task(log.wait_for(is_event("a"), within=5))
    await asyncio.sleep(0)  # it waits now
    log.end("the gateway's process ended with exit code 1")

    with pytest.raises(TargetError, match="exit code 1"):
        await waiter
    with pytest.raises(TargetError, match="exit code 1"):
        await log.wait_for(is_event("a"), within=5)


async def test_a_predicate_that_fails_fails_its_own_waiter_only() -> None:
    log = LogBuffer()
    careless = asyncio.create_task(log.wait_for(lambda record: record["missing"], within=5))
    careful = asyncio.create_task(log.wait_for(is_event("a"), within=5))
    await asyncio.sleep(0)  # both wait now
    log.write('{"event": "a"}')

    with pytest.raises(KeyError, match="missing"):
        await careless
    assert await careful == {"event": "a"}
