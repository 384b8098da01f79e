"""A gateway inside this process: quick to start and to debug, but not a black box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memmie_harness.targets.installed import Service, installed_gateway
from memmie_harness.targets.readiness import wait_until_ready
from memmie_harness.targets.target import TargetError, websocket_url
from memmie_harness.targets.unseen_logs import UnseenLogs

if TYPE_CHECKING:
    from collections.abc import Mapping


class InProcessTarget(UnseenLogs):
    """The installed gateway, run on this event loop.

    Args:
        environment: The gateway's settings (spec §7); of this process's own environment nothing is used.
        start_seconds: How long it may take to become ready.
    """

    def __init__(self, environment: Mapping[str, str], *, start_seconds: float = 10.0) -> None:
        self._environment = dict(environment)
        self._start_seconds = start_seconds
        self._service: Service | None = None

    @property
    def url(self) -> str:
        """The HTTP address the gateway listens on."""
        if self._service is None:
            raise TargetError("this gateway has no address yet: await target.start() first")
        return self._service.url.rstrip("/")

    @property
    def ws_url(self) -> str:
        """The WebSocket address (spec §1)."""
        return websocket_url(self.url)

    async def start(self, *, until_ready: bool = True) -> None:
        """See `Target.start`.

        Raises:
            OSError: The port is taken.
            ValueError: A setting is wrong.
        """
        if self._service is not None:
            raise TargetError("this gateway already runs")
        service = installed_gateway().from_env(self._environment)
        await service.start()
        self._service = service
        try:
            if until_ready:
                await wait_until_ready(self.url, self._start_seconds)
        except BaseException:  # not ready, or cancelled: the caller will not call stop()
            await self.stop()
            raise

    async def stop(self) -> None:
        """See `Target.stop`."""
        service, self._service = self._service, None
        if service is not None:
            await service.stop()
