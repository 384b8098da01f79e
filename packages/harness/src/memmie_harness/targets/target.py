"""The interface of every target: its addresses, its start and stop, and its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from memmie_harness.targets.log_buffer import LogRecord


class Target(Protocol):
    """A gateway under test; black-box tests use this interface and no class of a gateway.

    A new kind of target implements these members and is added to `choice.py`.
    """

    @property
    def url(self) -> str:
        """The HTTP address, `http://HOST:PORT` without a trailing slash; known after the start."""
        ...

    @property
    def ws_url(self) -> str:
        """The WebSocket address, `ws://HOST:PORT/ws` (spec §1)."""
        ...

    @property
    def sees_logs(self) -> bool:
        """Whether the gateway's log can be read by `logs`, `log_tail` and `wait_for_log`."""
        ...

    async def start(self, *, until_ready: bool = True) -> None:
        """Start the gateway and wait until `/ready` answers 200.

        Args:
            until_ready: `False` waits only until the gateway listens, for one that has no healthy Studio.

        Raises:
            TargetError: the gateway ended, or did not start in time. It is no longer running.
        """
        ...

    async def stop(self) -> None:
        """Stop the gateway; does nothing if it is not running.

        Raises:
            TargetError: the gateway did not end in time, or ended with an error. It is no longer running.
        """
        ...

    def logs(self) -> Sequence[LogRecord]:
        """Return the structured log lines so far, oldest first.

        Raises:
            TargetError: the log cannot be read; see `sees_logs`.
        """
        ...

    def log_tail(self, lines: int = 50) -> str:
        """Return the last lines that the gateway wrote, structured or not; empty if the log cannot be read."""
        ...

    async def wait_for_log(self, predicate: Callable[[LogRecord], bool], within: float = 5.0) -> LogRecord:
        """Return the first structured log line, past or future, that `predicate` accepts.

        Args:
            predicate: called with each structured log line.
            within: how many seconds to wait.

        Raises:
            TargetError: no such line came in time, the gateway ended first, or the log cannot be read.
        """
        ...
