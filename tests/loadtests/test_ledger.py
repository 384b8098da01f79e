"""The ledger of the soak: everything that can happen to numbered messages is told apart."""

from __future__ import annotations

import random

import pytest

from loadtests.runs.ledger import Ledger


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
    ledger = Ledger()
    for number in numbers:
        ledger.take(number)
    assert (ledger.lost(sent), ledger.duplicated, ledger.reordered) == (lost, duplicated, reordered)


def test_whatever_happens_every_message_is_accounted_for() -> None:
    rng = random.Random(4)  # noqa: S311 - no secret
    for _ in range(200):
        numbers = [number for number in range(1, 50) if rng.random() > 0.1]
        dropped = 49 - len(numbers)
        repeated = [number for number in numbers if rng.random() < 0.1]
        arriving = numbers + repeated
        rng.shuffle(arriving)
        ledger = Ledger()
        for number in arriving:
            ledger.take(number)
        assert ledger.lost(49) == dropped
        assert ledger.duplicated == len(repeated)
        assert ledger.arrived == len(numbers)
