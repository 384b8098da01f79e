"""A clock that a test puts forward: what it waits for in vain is over when it says so, however slow the machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from unittest.mock import patch


class Clock:
    """The clock of a running event loop, which goes on as ever besides."""

    def __init__(self) -> None:
        self._true = asyncio.get_running_loop().time
        self._ahead = 0.0

    def time(self) -> float:
        """Return what the loop takes for the time."""
        return self._true() + self._ahead

    def put_forward(self, seconds: float) -> None:
        """Let so many seconds be over: timers that end in them end in the loop's next turn."""
        self._ahead += seconds


@contextlib.contextmanager
def loop_clock() -> Iterator[Clock]:
    """Give this loop's clock into a test's hands for the length of the block."""
    clock = Clock()
    with patch.object(asyncio.get_running_loop(), "time", clock.time):
        yield clock
