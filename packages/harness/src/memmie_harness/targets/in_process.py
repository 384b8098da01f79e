"""A gateway inside this process: quick to start and to debug, but not a black box."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from memmie_harness.targets.installed import Service, ServiceClass, installed_gateway
from memmie_harness.targets.line_stream import LineStream
from memmie_harness.targets.logged import LoggedTarget
from memmie_harness.targets.readiness import wait_until_ready
from memmie_harness.targets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class InProcessTarget(LoggedTarget):
    """The installed gateway, run on this event loop.

    Its log is seen because a gateway takes standard output, as it then is, when it is built.

    Args:
        environment: The gateway's settings (spec §7); of this process's own environment nothing is used.
        on_line: Called with each line it logs, besides their being kept.
        start_seconds: How long it may take to become ready.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        on_line: Callable[[str], None] | None = None,
        start_seconds: float = 10.0,
    ) -> None:
        super().__init__(start_seconds)
        self._environment = dict(environment)
        self._on_line = on_line
        self._service: Service | None = None

    def __repr__(self) -> str:
        """Name the address; the environment may hold secrets."""
        return f"<InProcessTarget url={self._service.url if self._service else None}>"

    @property
    def url(self) -> str:
        """The HTTP address the gateway listens on."""
        if self._service is None:
            raise TargetError("this gateway does not run: await target.start() first")
        return self._service.url.rstrip("/")

    async def start(self, *, until_ready: bool = True) -> None:
        """See `Target.start`.

        Raises:
            TargetError: Besides `Target.start`'s reasons, a setting is wrong; ``exit_code`` is then 2, as of
                a process.
            OSError: The port is taken.
        """
        if self._service is not None:
            raise TargetError("this gateway already runs")
        gateway_class = installed_gateway()
        with contextlib.redirect_stdout(LineStream(self._write)):
            service = self._build(gateway_class)
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
            self._log.end("it was stopped")

    def _build(self, gateway_class: ServiceClass) -> Service:
        try:
            return gateway_class.from_env(self._environment)
        except ValueError as error:
            raise TargetError(f"the gateway refuses its settings: {error}", exit_code=2) from error

    def _write(self, line: str) -> None:
        self._log.write(line)
        if self._on_line is not None:
            self._on_line(line)
