"""A gateway that already runs: a local stack, another implementation, or a deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.log_buffer import LogRecord
from memmie_harness.targets.readiness import wait_until_ready
from memmie_harness.wiring import websocket_url


class UrlTarget:
    """A gateway at a known address; `start` waits until it is ready, and `stop` does not stop it.

    Args:
        url: the HTTP address, `http://HOST:PORT` or `https://…`.
        start_seconds: how long it may take to become ready.
    """

    sees_logs = False

    def __init__(self, url: str, *, start_seconds: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self._start_seconds = start_seconds

    @property
    def ws_url(self) -> str:
        """See `Target.ws_url`."""
        return websocket_url(self.url)

    async def start(self, *, until_ready: bool = True) -> None:
        """Wait until the gateway is ready; see `Target.start`."""
        if until_ready:
            await wait_until_ready(self.url, self._start_seconds)

    async def stop(self) -> None:
        """Do nothing, because this target did not start the gateway."""

    def logs(self) -> NoReturn:
        """Raise `TargetError`, because the log of a running gateway cannot be read; `sees_logs` says so."""
        raise TargetError(
            f"the log of {self.url} cannot be read, because this test run did not start the gateway"
        )

    def log_tail(self, lines: int = 50) -> str:  # noqa: ARG002 - the protocol's signature
        """Return an empty string, because the log cannot be read."""
        return ""

    async def wait_for_log(
        self,
        predicate: Callable[[LogRecord], bool],  # noqa: ARG002 - the protocol's signature
        within: float = 5.0,  # noqa: ARG002 - the protocol's signature
    ) -> NoReturn:
        """Raise `TargetError`, as `logs` does."""
        self.logs()
