"""The clock that stands still while the process does not run."""

from __future__ import annotations

import pytest

from memmie_gateway.core.pause import LATE_SECONDS, SETTLE_SECONDS, STEP_SECONDS, Pauses


def run(pauses: Pauses, start: float, seconds: float) -> float:
    """Read the clock as often as a process does that runs; return the last time."""
    steps = round(seconds / STEP_SECONDS)
    return [pauses.read(start + step * STEP_SECONDS) for step in range(steps + 1)][-1]


def test_a_process_that_runs_sees_the_time_as_it_is() -> None:
    pauses = Pauses(100)
    assert run(pauses, 100, 60) == 160
    assert (pauses.missed, pauses.count) == (0, 0)


def test_a_pause_does_not_count_and_the_clock_stands_still_for_a_moment_after_it() -> None:
    pauses = Pauses(0)
    before = run(pauses, 0, 10)
    assert run(pauses, 70, SETTLE_SECONDS - STEP_SECONDS) == before
    assert pauses.missed >= 60
    assert pauses.count == 1
    after = run(pauses, 70 + SETTLE_SECONDS, 20)
    assert before + 20 <= after <= before + 20 + STEP_SECONDS


@pytest.mark.parametrize("gap", [0.0, STEP_SECONDS, LATE_SECONDS, 1.0, 3600.0])
def test_the_time_never_goes_back(gap: float) -> None:
    pauses = Pauses(0)
    now, last = 0.0, 0.0
    for step in range(50):
        now += gap if step % 5 == 0 else STEP_SECONDS
        time = pauses.read(now)
        assert time >= last
        last = time


def test_a_loop_that_is_a_little_late_is_not_paused() -> None:
    pauses = Pauses(0)
    assert pauses.read(LATE_SECONDS - 0.01) == LATE_SECONDS - 0.01


def test_repr() -> None:
    pauses = Pauses(0)
    pauses.read(5)
    assert repr(pauses) == "<Pauses missed=5.000>"
