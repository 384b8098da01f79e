"""Progress: each measurement on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Final, TextIO

from loadtests.benchmark.plan import Task

SPARSE_SECONDS: Final = 10.0
"""The least time between two lines of progress that do not go to a terminal."""


def duration(seconds: float) -> str:
    """Return about how long something takes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Progress:
    """Reports the progress of some tasks to a stream."""

    def __init__(self, tasks: Sequence[Task], out: TextIO = sys.stderr) -> None:
        self._seconds = [task.seconds() for task in tasks]
        self._out = out
        self._done = 0
        self._began = time.monotonic()
        self._said = -math.inf

    def say(self, line: str) -> None:
        """Write a line in any case."""
        print(line, file=self._out, flush=True)

    def begins(self, task: Task) -> None:
        """Report which measurement begins, if it is time for a line."""
        now = time.monotonic()
        if self._out.isatty() or now - self._said >= SPARSE_SECONDS:
            self._said = now
            number = f"[{self._done + 1}/{len(self._seconds)}]"
            self.say(f"{number} {task} · about {duration(self._left(now))} left")

    def done(self) -> None:
        """Count one more measurement that is done."""
        self._done += 1

    def _left(self, now: float) -> float:
        """Return how many seconds are left, corrected by how good the estimate was so far."""
        estimated, left = sum(self._seconds[: self._done]), sum(self._seconds[self._done :])
        return (now - self._began) / estimated * left if estimated else left
