"""The lines a gateway wrote: kept in a bounded book, searched, and waited for."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from memmie_harness.targets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

LogRecord = dict[str, Any]
"""One structured line: what a JSON object on one line says."""

CAPACITY = 10_000
"""Lines kept; the oldest go first."""


class LogBook:
    """A gateway's output, line by line; lines that are JSON objects are also records.

    Args:
        capacity: How many lines are kept.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lines: deque[str] = deque(maxlen=capacity)
        self._records: deque[LogRecord] = deque(maxlen=capacity)
        self._waiters: list[tuple[Callable[[LogRecord], bool], asyncio.Future[LogRecord]]] = []
        self._ended: str | None = None

    @property
    def records(self) -> tuple[LogRecord, ...]:
        """The structured lines, oldest first."""
        return tuple(self._records)

    def tail(self, lines: int) -> str:
        """The last `lines` lines as they were written."""
        return "\n".join(list(self._lines)[-lines:])

    def write(self, line: str) -> None:
        """Enter one line (without its line end) and serve those who wait for it."""
        self._lines.append(line)
        record = _parse(line)
        if record is None:
            return
        self._records.append(record)
        for predicate, future in self._waiters:
            _offer(record, predicate, future)
        self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]

    def end(self, reason: str) -> None:
        """No more lines will come, because of `reason`: those who still wait are told so."""
        self._ended = reason
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(_no_line(reason))

    async def wait_for(self, predicate: Callable[[LogRecord], bool], within: float) -> LogRecord:
        """Return the first record that fits, past or to come, within that many seconds.

        Raises:
            TargetError: None came in time, or the book ended first.
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
            raise _no_line(f"none came within {within:g} s") from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)


def _no_line(reason: str) -> TargetError:
    return TargetError(f"no log line of the gateway fits: {reason}")


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
        fits = predicate(record)
    except Exception as error:  # noqa: BLE001 - a test's predicate may raise anything, and the test shall see it
        future.set_exception(error)
        return
    if fits:
        future.set_result(record)
