"""A gateway's log: the newest lines are kept, can be searched, and can be waited for."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from memmie_harness.targets.errors import TargetError

LogRecord = dict[str, Any]
"""A structured log line, which is a JSON object."""

CAPACITY: Final = 10_000
"""How many lines are kept."""


class LogBuffer:
    """The newest lines of a gateway's log; those that are JSON objects are also kept as records.

    Args:
        capacity: how many lines are kept; older ones are dropped.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lines: deque[str] = deque(maxlen=capacity)
        self._records: deque[LogRecord] = deque(maxlen=capacity)
        self._waiters: list[tuple[Callable[[LogRecord], bool], asyncio.Future[LogRecord]]] = []
        self._ended: str | None = None

    @property
    def records(self) -> tuple[LogRecord, ...]:
        """The structured log lines, oldest first."""
        return tuple(self._records)

    def tail(self, lines: int) -> str:
        """Return the last `lines` lines as they were written."""
        return "\n".join(list(self._lines)[-lines:])

    def write(self, line: str) -> None:
        """Append a line, given without its line end, and resume the waiters that it matches."""
        self._lines.append(line)
        record = _parse(line)
        if record is None:
            return
        self._records.append(record)
        for predicate, future in self._waiters:
            _offer(record, predicate, future)
        self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]

    def end(self, reason: str) -> None:
        """Note that no more lines will come, and why; waiters get a `TargetError` with the reason."""
        self._ended = reason
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(_no_line(reason))

    async def wait_for(self, predicate: Callable[[LogRecord], bool], within: float) -> LogRecord:
        """Return the first record, past or future, that `predicate` accepts.

        Args:
            predicate: called with each record.
            within: how many seconds to wait.

        Raises:
            TargetError: no such record came in time, or the log ended first.
        """
        for record in self._records:
            if predicate(record):
                return record
        if self._ended is not None:
            raise _no_line(self._ended)
        future: asyncio.Future[LogRecord] = asyncio.get_running_loop().create_future()
        waiter = (predicate, future)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(within):
                return await future
        except TimeoutError:
            raise _no_line(f"{within:g} seconds are over") from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)


def _no_line(reason: str) -> TargetError:
    return TargetError(f"the awaited log line did not come, because {reason}")


def _parse(line: str) -> LogRecord | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _offer(
    record: LogRecord, predicate: Callable[[LogRecord], bool], future: asyncio.Future[LogRecord]
) -> None:
    if future.done():
        return
    try:
        matches = predicate(record)
    except Exception as error:  # noqa: BLE001 - whatever the test's predicate raises is raised in the test
        future.set_exception(error)
        return
    if matches:
        future.set_result(record)
