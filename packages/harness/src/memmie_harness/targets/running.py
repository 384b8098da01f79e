"""A gateway that someone else runs: a local stack, another implementation, a deployment."""

from __future__ import annotations

from memmie_harness.targets.readiness import wait_until_ready
from memmie_harness.targets.target import websocket_url
from memmie_harness.targets.unseen_logs import UnseenLogs


class UrlTarget(UnseenLogs):
    """A gateway at a known address; starting waits for it, stopping leaves it alone.

    Args:
        url: Its HTTP address, ``http://HOST:PORT`` or ``https://…``.
        start_seconds: How long it may take to become ready.
    """

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
