"""The base of targets that run a gateway outside this process: as a process or in a container."""

from __future__ import annotations

from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.log_buffer import LogRecord
from memmie_harness.targets.logged import LoggedTarget


class ExternalTarget(LoggedTarget):
    """A gateway that reports its address in its log, and is stopped by a signal.

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
        """The HTTP address that the gateway reported.

        Raises:
            TargetError: it has not reported one yet.
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

    def _failure(self, what: str, exit_code: int | None = None) -> TargetError:
        """Return an error that ends with the last lines of the log."""
        return TargetError(
            f"{what}\nThe last lines it wrote:\n{self.log_tail(20) or '(nothing)'}", exit_code=exit_code
        )


def _is_listening(record: LogRecord) -> bool:
    return record.get("event") == "listening" and "url" in record
