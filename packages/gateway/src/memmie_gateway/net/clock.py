"""The clock by which other parties are judged: it stands still while the gateway itself does not run.

`timeout` and `pauses` use the clock that was started on the running loop. Code that only has to limit the time of one
request then needs no clock as an argument.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final
from weakref import WeakKeyDictionary

from memmie_gateway.core.pause import STEP_SECONDS, Pauses

SHORTEST_WAIT: Final = 0.01
"""Minimum number of seconds until a deadline is checked again that was not reached because of a pause."""


def loop_time() -> float:
    """Return the time of the event loop in seconds."""
    return asyncio.get_running_loop().time()


class Clock:
    """The time of the event loop without the pauses of the process (see `core.pause`).

    Before `start` and after `stop` it is the time of the event loop.
    """

    __slots__ = ("_loop", "_pauses", "_timer")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pauses: Pauses | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Clock {self._pauses}>"

    def start(self) -> None:
        """Start to notice pauses."""
        loop = self._loop = asyncio.get_running_loop()
        self._pauses = Pauses(loop.time())
        _RUNNING.setdefault(loop, self)
        self._timer = loop.call_later(STEP_SECONDS, self._step)

    def stop(self) -> None:
        """Stop to notice pauses."""
        if self._timer is not None:
            self._timer.cancel()
            if _RUNNING.get(loop := asyncio.get_running_loop()) is self:
                del _RUNNING[loop]
        self._loop = self._pauses = self._timer = None

    @property
    def pauses(self) -> int:
        """Number of pauses that were noticed since the start."""
        return 0 if self._pauses is None else self._pauses.count

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, without looking it up, which is a system call on Python 3.11."""
        return self._loop or asyncio.get_running_loop()

    def loop_time(self) -> float:
        """Return the time of the event loop in seconds."""
        return (self._loop or asyncio.get_running_loop()).time()

    def time(self) -> float:
        """Return the time in seconds."""
        now = (self._loop or asyncio.get_running_loop()).time()
        pauses = self._pauses
        return now if pauses is None else pauses.read(now)

    def timeout(self, seconds: float) -> Timeout:
        """Return a context manager like `asyncio.timeout`, for which pauses of this process do not count."""
        return Timeout(self, seconds)

    def _step(self) -> None:
        self.time()
        self._timer = asyncio.get_running_loop().call_later(STEP_SECONDS, self._step)


class Timeout:
    """Cancels the rest of a block after a time, and raises `TimeoutError` behind it, like `asyncio.timeout`.

    Pauses do not count, and it costs a third of an `asyncio.timeout`, because each dial needs one.

    Args:
        clock: the clock.
        seconds: maximum time in seconds.
    """

    __slots__ = ("_cancels", "_clock", "_expired", "_loop", "_seconds", "_task", "_timer", "_until")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = False
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[object]
        self._timer: asyncio.TimerHandle
        self._until: float

    def __repr__(self) -> str:
        return f"<Timeout {self._seconds:g} s>"

    def __enter__(self) -> None:
        loop = self._loop = self._clock.loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - only a task can be cancelled
        self._task = task
        self._cancels = task.cancelling()
        self._until = self._clock.time() + self._seconds
        self._timer = loop.call_later(self._seconds, self._check)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # If somebody else has cancelled the task as well, it stays cancelled.
        if self._expired and self._task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _check(self) -> None:
        left = self._until - self._clock.time()
        if left > SHORTEST_WAIT:
            self._timer = self._loop.call_later(left, self._check)
        else:
            self._expired = True
            self._task.cancel()


_RUNNING: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Clock]] = WeakKeyDictionary()
_PLAIN: Final = Clock()


def timeout(seconds: float) -> Timeout:
    """Return a context manager like `asyncio.timeout`, for which pauses of this process do not count."""
    return _of_loop().timeout(seconds)


def pauses() -> int:
    """Return the number of pauses so far. If it has changed, a failure may be the gateway's own fault."""
    clock = _of_loop()
    clock.time()
    return clock.pauses


def _of_loop() -> Clock:
    return _RUNNING.get(asyncio.get_running_loop(), _PLAIN)
