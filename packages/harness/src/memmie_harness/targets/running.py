"""A gateway that someone else runs: a local stack, another implementation, a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from memmie_harness.targets.readiness import wait_until_ready
from memmie_harness.targets.target import TargetError, websocket_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from memmie_harness.targets.log_book import LogRecord


class UrlTarget:
    """A gateway at a known address; starting waits for it, stopping leaves it alone.

    Args:
        url: Its HTTP address, ``http://HOST:PORT`` or ``https://…``.
        start_seconds: How long it may take to become ready.
    """

    sees_logs = False

    def __init__(self, url: str, *, start_seconds: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self._start_seconds = start_seconds

    @property
    def ws_url(self) -> str:
        """The WebSocket address (spec §1)."""
        return websocket_url(self.url)

    async def start(self, *, until_ready: bool = True) -> None:
        """Wait until it is ready; see `Target.start`."""
        if until_ready:
            await wait_until_ready(self.url, self._start_seconds)

    async def stop(self) -> None:
        """Nothing to do: who started it stops it."""

    def logs(self) -> NoReturn:
        """Raise `TargetError`: its log is wherever the one who runs it put it. Ask `sees_logs` first."""
        raise TargetError(f"the log of {self.url} is not seen from here: who runs the gateway has it")

    def log_tail(self, lines: int = 50) -> str:  # noqa: ARG002 - the protocol's signature
        """Nothing is seen, so this is empty."""
        return ""

    async def wait_for_log(
        self,
        predicate: Callable[[LogRecord], bool],  # noqa: ARG002 - the protocol's signature
        within: float = 5.0,  # noqa: ARG002 - the protocol's signature
    ) -> NoReturn:
        """Raise `TargetError`, as `logs` does."""
        self.logs()
