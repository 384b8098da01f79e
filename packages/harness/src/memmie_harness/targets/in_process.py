"""A gateway inside this process, which starts quickly and can be debugged, but is not a black box."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.installed import Service, ServiceClass, installed_gateway
from memmie_harness.targets.line_stream import LineStream
from memmie_harness.targets.logged import LoggedTarget
from memmie_harness.targets.readiness import wait_until_ready


class InProcessTarget(LoggedTarget):
    """The installed gateway, which runs on this event loop.

    A gateway logs to what `sys.stdout` is when it is made, so a stream that keeps the lines stands there meanwhile.

    Args:
        environment: the gateway's settings (spec §7); this process's own environment is not used.
        on_line: called with each line that it logs.
        start_seconds: how long it may take to become ready.
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
        """Show the address, but not the environment, which may contain secrets."""
        return f"<InProcessTarget url={self._service.url if self._service else None}>"

    @property
    def url(self) -> str:
        """The HTTP address that the gateway listens on."""
        if self._service is None:
            raise TargetError("this gateway does not run. Call `await target.start()` first")
        return self._service.url.rstrip("/")

    async def start(self, *, until_ready: bool = True) -> None:
        """See `Target.start`.

        Raises:
            TargetError: as for `Target.start`; or a setting is invalid, with `exit_code` 2 as from a process.
            OSError: the address cannot be bound.
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
        except BaseException:  # after which the caller does not call stop()
            await self.stop()
            raise

    async def stop(self) -> None:
        """See `Target.stop`."""
        service, self._service = self._service, None
        if service is not None:
            await service.stop()
            self._log.end("the gateway was stopped")

    def _build(self, gateway_class: ServiceClass) -> Service:
        try:
            return gateway_class.from_env(self._environment)
        except ValueError as error:
            raise TargetError(f"the gateway refuses its settings: {error}", exit_code=2) from error

    def _write(self, line: str) -> None:
        self._log.write(line)
        if self._on_line is not None:
            self._on_line(line)
