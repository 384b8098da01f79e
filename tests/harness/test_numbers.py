"""The bookkeeping of numbered messages, which harness and load share: everything that can happen is told apart."""

from __future__ import annotations

import random

import pytest

from memmie_harness.numbers import Numbers


@pytest.mark.parametrize(
    ("numbers", "sent", "lost", "duplicated", "reordered"),
    [
        ([1, 2, 3], 3, 0, 0, 0),
        ([], 3, 3, 0, 0),
        ([1, 3], 3, 1, 0, 0),
        ([1, 2], 3, 1, 0, 0),
        ([1, 2, 2, 3], 3, 0, 1, 0),
        ([1, 3, 2], 3, 0, 0, 1),
        ([2, 1, 1], 2, 0, 1, 1),
        ([3, 1, 2], 4, 1, 0, 2),
        ([1, 1, 1], 1, 0, 2, 0),
        ([1, 3, 4, 5], 3, 1, 0, 0),  # more numbers than were sent
        ([1, 2, 5], 3, 1, 0, 0),
    ],
)
def test_each_fault_is_counted_as_what_it_is(
    numbers: list[int], sent: int, lost: int, duplicated: int, reordered: int
) -> None:
    arrived = Numbers()
    for number in numbers:
        arrived.take(number)
    assert (arrived.lost(sent), arrived.duplicated, arrived.reordered) == (lost, duplicated, reordered)
    faults = {"lost": lost, "duplicated": duplicated, "reordered": reordered}
    assert arrived.problems(sent) == [f"{count} {fault}" for fault, count in faults.items() if count]


def test_whatever_happens_every_message_is_accounted_for() -> None:
    rng = random.Random(4)  # noqa: S311 - no secret
    for _ in range(200):
        numbers = [number for number in range(1, 50) if rng.random() > 0.1]
        dropped = 49 - len(numbers)
        repeated = [number for number in numbers if rng.random() < 0.1]
        arriving = numbers + repeated
        rng.shuffle(arriving)
        arrived = Numbers()
        for number in arriving:
            arrived.take(number)
        assert arrived.lost(49) == dropped
        assert arrived.duplicated == len(repeated)
        assert arrived.arrived == len(numbers)
