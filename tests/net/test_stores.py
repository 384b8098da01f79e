"""Limits that are counted in this process (`core.limits` has the tests of what they count with)."""

from __future__ import annotations

import pytest
from tests.clock import loop_clock

from memmie_gateway.core.limits import Rate
from memmie_gateway.net.stores.local import LocalRates, LocalSlot, LocalSlots


def taken(slots: LocalSlots, key: str, limit: int) -> LocalSlot:
    """Take a slot; there must be one."""
    slot = slots.acquire(key, limit)
    assert slot is not None
    return slot


# Slots.


def test_slots_are_taken_and_given_back() -> None:
    slots = LocalSlots()
    first, _ = taken(slots, "a", 2), taken(slots, "a", 2)
    assert slots.acquire("a", 2) is None
    assert slots.acquire("b", 2) is not None
    first.release()
    assert slots.acquire("a", 2) is not None
    assert slots.acquire("a", 2) is None


def test_a_slot_is_given_back_once() -> None:
    slots = LocalSlots()
    first, second = taken(slots, "a", 2), taken(slots, "a", 2)
    for _ in range(3):
        first.release()
    assert slots.acquire("a", 1) is None, "the second slot is still taken"
    second.release()
    assert slots.acquire("a", 1) is not None


def test_a_released_slot_can_be_taken_again_beyond_the_limit_and_counts_once() -> None:
    slots = LocalSlots()
    first = taken(slots, "a", 1)
    first.retake()
    first.release()
    second = taken(slots, "a", 1)
    for _ in range(3):
        first.retake()
    assert slots.acquire("a", 2) is None
    assert slots.acquire("a", 3) is not None
    first.release()
    second.release()
    assert slots.acquire("a", 2) is not None


def test_no_limit_takes_slots_all_the_same() -> None:
    """So a limit that is set later counts what is there already."""
    slots = LocalSlots()
    held = [taken(slots, "a", 0) for _ in range(100)]
    assert slots.acquire("a", 100) is None
    held.pop().release()
    assert slots.acquire("a", 100) is not None


def test_keys_that_hold_nothing_are_forgotten() -> None:
    slots = LocalSlots()
    held = [taken(slots, str(number), 1) for number in range(100)]
    assert repr(slots) == "<LocalSlots <SlotCounts keys=100>>"
    for slot in held:
        slot.release()
    assert repr(slots) == "<LocalSlots <SlotCounts keys=0>>"


# Rates.

QUOTA = Rate(0.1, 2)  # so slow that the time a test takes earns nothing worth counting


async def test_a_rate_holds_over_the_loops_time() -> None:
    rates = LocalRates(10)
    with loop_clock() as clock:
        assert [rates.take("a", QUOTA), rates.take("a", QUOTA)] == [0, 0]
        assert rates.take("a", QUOTA) == pytest.approx(10, abs=1)
        assert rates.take("b", QUOTA) == 0
        clock.put_forward(10)
        assert rates.take("a", QUOTA) == 0
        assert rates.take("a", QUOTA) == pytest.approx(10, abs=1)
        clock.put_forward(3600)
        assert [rates.take("a", QUOTA) > 0 for _ in range(3)] == [False, False, True]


async def test_the_bucket_of_a_key_is_the_one_that_is_taken_from() -> None:
    rates = LocalRates(10)
    bucket = rates.bucket("a", QUOTA)
    assert bucket is not None
    bucket.left -= 2
    assert rates.take("a", QUOTA) > 0, "it is the same bucket"
    assert rates.bucket("a", QUOTA) is bucket


async def test_a_rate_of_zero_is_no_limit() -> None:
    rates = LocalRates(10)
    assert [rates.take("a", Rate(0, 1)) for _ in range(100)] == [0] * 100
    assert rates.bucket("a", Rate(0, 1)) is None
    assert repr(rates) == "<LocalRates <Buckets keys=0>>"


async def test_no_more_keys_than_allowed_are_remembered() -> None:
    rates = LocalRates(10)
    for number in range(100):
        rates.take(str(number), QUOTA)
    assert repr(rates) == "<LocalRates <Buckets keys=10>>"
