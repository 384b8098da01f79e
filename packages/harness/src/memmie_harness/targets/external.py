"""The base of targets that run a gateway outside this process: as a process or in a container."""

from __future__ import annotations

import re
from typing import Final

from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.log_buffer import LogRecord
from memmie_harness.targets.logged import LoggedTarget
from memmie_harness.targets.ready_when import ReadyWhen, missing_at
from memmie_harness.wiring import LOOPBACK

ALL_LINES: Final = 10_000
"""More lines than a log keeps."""


class ExternalTarget(LoggedTarget):
    """A gateway with a log in a pipe, which is stopped by a signal.

    Args:
        start_seconds: how long it may take to listen, and again to become ready.
        stop_seconds: how long it may take to end after SIGTERM before it is killed.
    """

    def __init__(self, start_seconds: float, stop_seconds: float) -> None:
        super().__init__(start_seconds)
        self._stop_seconds = stop_seconds
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The HTTP address, which is known as soon as the gateway listens.

        Raises:
            TargetError: it does not listen yet.
        """
        if self._url is None:
            raise TargetError("this gateway has no address yet. Call `await target.start()` first")
        return self._url

    async def _wait_until_listening(self) -> str:
        """Wait for the log line that says where the gateway listens; keep and return the address.

        Raises:
            TargetError: no such line came in time, or the gateway ended first.
        """
        listening = await self._log.wait_for(_is_listening, self._start_seconds)
        self._url = str(listening["url"]).rstrip("/")
        return self._url

    async def _missing(self, ready: ReadyWhen, port: int) -> str | None:
        """Return what a program has not done yet that need not be ours; keep its address as soon as it is known.

        Args:
            ready: how to notice that it is ready.
            port: the port that the program was told to use.
        """
        if ready.log is not None:
            match = ready.log.search(self.log_tail(ALL_LINES))
            if match is None:
                return f"a log line like {ready.log.pattern!r}"
            if "port" in ready.log.groupindex:
                digits = match["port"] or ""
                if re.fullmatch("[0-9]{1,5}", digits) is None or not 0 < int(digits) < 65536:
                    return f"a port in the log line {match[0]!r}"
                port = int(digits)
        self._url = f"http://{LOOPBACK}:{port}"
        return await missing_at(self._url, ready)

    def _failure(self, what: str, exit_code: int | None = None) -> TargetError:
        """Return an error that ends with the last lines of the log."""
        return TargetError(
            f"{what}\nThe last lines it wrote:\n{self.log_tail(20) or '(nothing)'}", exit_code=exit_code
        )


def _is_listening(record: LogRecord) -> bool:
    return record.get("event") == "listening" and "url" in record
