from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from memmie_harness.targets import TargetError
from memmie_harness.targets.log_book import LogBook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def is_event(name: str) -> Callable[[Mapping[str, object]], bool]:
    return lambda record: record.get("event") == name


def test_lines_that_are_json_objects_are_records() -> None:
    book = LogBook()
    for line in ['{"event": "a"}', "plain", "{broken", "[1]", "", '{"event": "b"}']:
        book.write(line)

    assert book.records == ({"event": "a"}, {"event": "b"})
    assert book.tail(2) == '\n{"event": "b"}'


def test_is_bounded_and_forgets_the_oldest() -> None:
    book = LogBook(capacity=2)
    for number in range(5):
        book.write(f'{{"n": {number}}}')

    assert [record["n"] for record in book.records] == [3, 4]
    assert book.tail(10) == '{"n": 3}\n{"n": 4}'


async def test_a_past_record_is_found_at_once() -> None:
    book = LogBook()
    book.write('{"event": "a", "n": 1}')
    book.write('{"event": "a", "n": 2}')

    assert (await book.wait_for(is_event("a"), within=0))["n"] == 1


async def test_a_record_to_come_is_waited_for_by_each_who_wants_it() -> None:
    book = LogBook()
    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(book.wait_for(is_event("a"), within=5)) for _ in range(2)]
        await asyncio.sleep(0)  # both wait now
        book.write('{"event": "other"}')
        book.write('{"event": "a"}')

    assert [waiter.result() for waiter in waiters] == [{"event": "a"}] * 2


async def test_says_that_nothing_came_in_time() -> None:
    book = LogBook()
    with pytest.raises(TargetError, match=r"none came within 0\.01 s"):
        await book.wait_for(is_event("a"), within=0.01)

    book.write('{"event": "a"}')  # nobody waits any more


async def test_the_end_is_told_to_those_who_wait_and_who_come_later() -> None:
    book = LogBook()
    waiter = asyncio.create_task(book.wait_for(is_event("a"), within=5))
    await asyncio.sleep(0)  # it waits now
    book.end("its process ended with exit code 1")

    with pytest.raises(TargetError, match="exit code 1"):
        await waiter
    with pytest.raises(TargetError, match="exit code 1"):
        await book.wait_for(is_event("a"), within=5)


async def test_a_predicate_that_fails_fails_its_own_waiter_only() -> None:
    book = LogBook()
    careless = asyncio.create_task(book.wait_for(lambda record: record["missing"], within=5))
    careful = asyncio.create_task(book.wait_for(is_event("a"), within=5))
    await asyncio.sleep(0)  # both wait now
    book.write('{"event": "a"}')

    with pytest.raises(KeyError, match="missing"):
        await careless
    assert await careful == {"event": "a"}
