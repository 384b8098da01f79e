"""What is told while it runs: each measurement on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Final, TextIO

from loadtests.benchmark.cases import Task

SPARSE_SECONDS: Final = 30.0
"""Between two lines of progress where nobody looks on."""


def duration(seconds: float) -> str:
    """Write about how long something takes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Progress:
    """Tells how far the work is.

    Args:
        tasks: all of it.
        out: where to.
    """

    def __init__(self, tasks: Sequence[Task], out: TextIO = sys.stderr) -> None:
        self._seconds = [task.seconds() for task in tasks]
        self._out = out
        self._done = 0
        self._began = self._told = time.monotonic()

    def say(self, line: str) -> None:
        """Tell something in any case."""
        print(line, file=self._out, flush=True)
        self._told = time.monotonic()

    def done(self, task: Task) -> None:
        """Tell that one more measurement is done, if it is time for a line."""
        self._done += 1
        if self._out.isatty() or time.monotonic() - self._told >= SPARSE_SECONDS:
            left = duration(self._left())
            self.say(f"[{self._done}/{len(self._seconds)}] {task} · about {left} left")

    def _left(self) -> float:
        """Return how many seconds are left, by how good the estimate was so far."""
        estimated = sum(self._seconds[: self._done])
        return (time.monotonic() - self._began) / estimated * sum(self._seconds[self._done :])
