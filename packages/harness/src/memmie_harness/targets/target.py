"""What a test knows of a gateway: where it listens, how it is started and stopped, what it logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memmie_harness.targets.log_book import LogRecord


class TargetError(Exception):
    """A gateway did not do what a target must: start, become ready, log something, end.

    Attributes:
        exit_code: The code the gateway's process ended with; ``None`` if it is no process or still ran.
    """

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Target(Protocol):
    """A gateway, whoever runs it; black-box tests speak to this and never to a gateway's classes.

    A new kind of target (a container, say) implements these members and gets its line in ``choice.py``.
    """

    @property
    def url(self) -> str:
        """The HTTP address, ``http://HOST:PORT`` without a trailing slash; known once started."""
        ...

    @property
    def ws_url(self) -> str:
        """The WebSocket address of a Studio's messages, ``ws://HOST:PORT/ws`` (spec §1)."""
        ...

    @property
    def sees_logs(self) -> bool:
        """Whether `logs`, `log_tail` and `wait_for_log` work: a gateway run by someone else logs elsewhere."""
        ...

    async def start(self, *, until_ready: bool = True) -> None:
        """Start the gateway and return when it listens, or, by default, when ``/ready`` answers 200.

        Args:
            until_ready: ``False`` returns as soon as it listens: for a gateway that has no healthy Studio.

        Raises:
            TargetError: It ended, or was not there in time. Nothing of it is left running.
        """
        ...

    async def stop(self) -> None:
        """Stop the gateway orderly; nothing happens if it does not run.

        Raises:
            TargetError: It did not end in time, or ended with an error. Nothing of it is left running.
        """
        ...

    def logs(self) -> Sequence[LogRecord]:
        """The structured log lines so far, oldest first.

        Raises:
            TargetError: This target does not see the gateway's logs.
        """
        ...

    def log_tail(self, lines: int = 50) -> str:
        """The last lines of everything the gateway wrote, for people; empty if it is not seen."""
        ...

    async def wait_for_log(self, predicate: Callable[[LogRecord], bool], within: float = 5.0) -> LogRecord:
        """Return the first log line that fits, past or to come.

        Args:
            predicate: Called with each structured line.
            within: How long to wait for it, in seconds.

        Raises:
            TargetError: No such line in time, the gateway ended first, or its logs are not seen.
        """
        ...


def websocket_url(url: str) -> str:
    """The address of the WebSocket route (spec §1) of a gateway at the HTTP address `url`.

    >>> websocket_url("http://127.0.0.1:8000")
    'ws://127.0.0.1:8000/ws'
    """
    return "ws" + url.removeprefix("http") + "/ws"
