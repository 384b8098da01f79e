"""The benchmark tells what it is at: each measurement on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

pytest.importorskip("picows", reason="the load group is not installed")

from loadtests.analysis.measurements import Case
from loadtests.benchmark import plan
from loadtests.benchmark.plan import Task
from loadtests.peers.peer import DIRECT, PEERS

TASKS = [Task(number, Case("round-trips", 50, size=128, seconds=1.3), PEERS[DIRECT]) for number in (1, 2, 3)]


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(plan, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def told(out: io.StringIO, clock: Clock, seconds: float) -> list[str]:
    """Do all tasks, each in so many seconds; return the numbers and the time left of the lines that this writes."""
    assert TASKS[0].seconds() == pytest.approx(3.06)
    telling = plan.Progress(TASKS, out)
    telling.say("both are running")
    for task in TASKS:
        telling.begins(task)
        clock.now += seconds
        telling.done()
    first, *lines = out.getvalue().splitlines()
    assert first == "both are running"
    assert all(TASKS[int(line[1]) - 1].what in line for line in lines)
    return [f"{line.partition(' ')[0]} {line.partition(' · ')[2]}" for line in lines]


def test_a_terminal_gets_each_measurement_as_it_begins(clock: Clock) -> None:
    assert told(Terminal(), clock, 1.0) == [
        "[1/3] about 9 s left",
        "[2/3] about 2 s left",
        "[3/3] about 1 s left",
    ]


def test_elsewhere_the_first_is_told_and_then_one_in_ten_seconds(clock: Clock) -> None:
    assert told(io.StringIO(), clock, 9.0) == ["[1/3] about 9 s left", "[3/3] about 9 s left"]


def test_long_measurements_are_told_one_by_one(clock: Clock) -> None:
    assert [line[:5] for line in told(io.StringIO(), clock, 10.0)] == ["[1/3]", "[2/3]", "[3/3]"]
