"""The base of targets with a log that the harness can read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from memmie_harness.targets.log_buffer import LogBuffer, LogRecord
from memmie_harness.wiring import WS_PATH, websocket_url


class LoggedTarget(ABC):
    """The members of a `Target` that read its log.

    Args:
        start_seconds: how long the gateway may take to listen, and again to become ready.
    """

    sees_logs: ClassVar[bool] = True

    def __init__(self, start_seconds: float) -> None:
        self._start_seconds = start_seconds
        self._log = LogBuffer()
        self._ws_path = WS_PATH

    @property
    @abstractmethod
    def url(self) -> str:
        """See `Target.url`."""

    @property
    def ws_url(self) -> str:
        """See `Target.ws_url`."""
        return websocket_url(self.url, self._ws_path)

    def logs(self) -> Sequence[LogRecord]:
        """See `Target.logs`."""
        return self._log.records

    def log_tail(self, lines: int = 50) -> str:
        """See `Target.log_tail`."""
        return self._log.tail(lines)

    async def wait_for_log(self, predicate: Callable[[LogRecord], bool], within: float = 5.0) -> LogRecord:
        """See `Target.wait_for_log`."""
        return await self._log.wait_for(predicate, within)
