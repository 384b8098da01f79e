"""A gateway that already runs: a local stack, another implementation, or a deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

from memmie_harness.targets.errors import NotOfferedError, TargetError
from memmie_harness.targets.log_buffer import LogRecord
from memmie_harness.targets.readiness import HAS_NO_READY, wait_until_ready
from memmie_harness.targets.ready_when import ReadyWhen, missing_at, wait_for
from memmie_harness.wiring import WS_PATH, websocket_url


class UrlTarget:
    """A gateway at a known address; `start` waits until it is ready, and `stop` does not stop it.

    Args:
        url: the HTTP address, `http://HOST:PORT` or `https://…`; or the address of its WebSocket route, `ws://…` or
            `wss://…` with a path.
        start_seconds: how long it may take to become ready.
        ready: how to notice that it is ready; its log cannot be read. Without this, it is ready when it answers
            `GET /ready` with 200, or with a status that says that it has no such route.
        ws_path: the path of its WebSocket route, if `url` is not the address of this route.
    """

    sees_logs = False

    def __init__(
        self,
        url: str,
        *,
        start_seconds: float = 10.0,
        ready: ReadyWhen | None = None,
        ws_path: str = WS_PATH,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"ws", "wss"}:
            self.url = f"http{parts.scheme.removeprefix('ws')}://{parts.netloc}"
            target = urlunsplit(("", "", parts.path, parts.query, ""))
            ws_path = ws_path if target in {"", "/"} else target
        else:
            self.url = url.rstrip("/")
        self._ws_path = ws_path
        self._start_seconds = start_seconds
        self._ready = ready

    def __repr__(self) -> str:
        """Show the address."""
        return f"<UrlTarget url={self.url}>"

    @property
    def ws_url(self) -> str:
        """See `Target.ws_url`."""
        return websocket_url(self.url, self._ws_path)

    async def start(self, *, until_ready: bool = True) -> None:
        """Wait until the gateway is ready; see `Target.start`."""
        if not until_ready:
            return
        if self._ready is None:
            await wait_until_ready(self.url, self._start_seconds, statuses=HAS_NO_READY)
            return
        ready = self._ready
        try:
            await wait_for(lambda: missing_at(self.url, ready), self._start_seconds)
        except TargetError as error:
            raise TargetError(f"the gateway at {self.url}: {error}") from None

    async def stop(self) -> None:
        """Do nothing, because this target did not start the gateway."""

    def logs(self) -> NoReturn:
        """Raise `NotOfferedError`, because the log of a running gateway cannot be read; `sees_logs` says so."""
        raise NotOfferedError(
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
        """Raise `NotOfferedError`, as `logs` does."""
        self.logs()
