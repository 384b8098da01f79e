"""A target whose gateway writes its log where we can read it: what all of that kind share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from memmie_harness.targets.log_book import LogBook
from memmie_harness.targets.target import websocket_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memmie_harness.targets.log_book import LogRecord


class LoggedTarget(ABC):
    """The part of a `Target` that follows from its log.

    Args:
        start_seconds: How long it may take to listen, and again to become ready.
    """

    sees_logs: ClassVar[bool] = True

    def __init__(self, start_seconds: float) -> None:
        self._start_seconds = start_seconds
        self._log = LogBook()

    @property
    @abstractmethod
    def url(self) -> str:
        """See `Target.url`."""

    @property
    def ws_url(self) -> str:
        """The WebSocket address (spec §1)."""
        return websocket_url(self.url)

    def logs(self) -> Sequence[LogRecord]:
        """See `Target.logs`."""
        return self._log.records

    def log_tail(self, lines: int = 50) -> str:
        """The last lines of all it wrote, in the order they were read."""
        return self._log.tail(lines)

    async def wait_for_log(self, predicate: Callable[[LogRecord], bool], within: float = 5.0) -> LogRecord:
        """See `Target.wait_for_log`."""
        return await self._log.wait_for(predicate, within)

    async def _announced_url(self) -> str:
        """Wait for the line that says where the gateway listens, and return what it says."""
        listening = await self._log.wait_for(_is_listening, self._start_seconds)
        return str(listening["url"]).rstrip("/")


def _is_listening(record: LogRecord) -> bool:
    return record.get("event") == "listening" and "url" in record
