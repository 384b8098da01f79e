"""The `Gateway` object, which can be started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from typing import Final, Self

from memmie_gateway.app.healthcheck import EVERYWHERE
from memmie_gateway.app.log_stream import LogStream
from memmie_gateway.app.logs import Log, make_logger
from memmie_gateway.app.random_pool import PooledRandom
from memmie_gateway.app.settings import Settings
from memmie_gateway.app.wiring import VERSION, make_parts
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.sessions import draining
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.ingress.head_reader import HeadReader
from memmie_gateway.net.ingress.listener import Listener
from memmie_gateway.net.sessions.live import Live

BACKLOG: Final = 4096
"""Maximum number of connections that wait to be accepted, for many clients that reconnect simultaneously."""

_OVERTIME: Final = 2.0
"""Seconds after the end of the last closing handshake, after which a stopping gateway aborts all sessions."""

_ACCEPT_TURNS: Final = 2
"""Turns of the loop from accepting a connection to its transport."""


class Gateway:
    """The gateway.

    ```python
    gateway = Gateway(Settings(port=0))
    await gateway.start()
    print(gateway.url)
    await gateway.stop()
    ```

    Args:
        settings: all settings.

    Attributes:
        settings: as given.
        parts: the parts of the gateway.
        log: the logger.
        log_stream: the output of the log, which goes to standard output.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log_stream = LogStream(sys.stdout)
        self.log: Log = make_logger(
            settings.log_format, settings.log_level, self.log_stream, terminal=sys.stdout.isatty()
        )
        self._rng = PooledRandom()
        self.parts = make_parts(settings, self.log, self.log_stream, self.readiness, self._rng)
        self._server: asyncio.Server | None = None
        self._started: contextlib.AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<Gateway {self.url if self._server else 'stopped'} {self.parts.sessions!r}>"

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Make a gateway from variables (spec §7).

        Raises:
            SettingsError: a value is invalid.
        """
        return cls(Settings.from_env(environment))

    @staticmethod
    def setting_names() -> frozenset[str]:
        """Return the names of all variables that `from_env` reads, in capital letters."""
        return frozenset(name.upper() for name in Settings.model_fields)

    # Start and stop.

    async def start(self) -> None:
        """Listen, and start to probe the backends.

        Raises:
            OSError: the address cannot be bound.
        """
        settings, parts = self.settings, self.parts
        async with contextlib.AsyncExitStack() as started:  # undone in reverse order, also if a step fails
            parts.clock.start()
            started.callback(parts.clock.stop)
            started.callback(parts.events.refusal_log.flush)
            started.callback(parts.lag.stop)
            started.push_async_callback(parts.authenticator.stop)
            started.push_async_callback(parts.rechecker.stop)
            started.callback(parts.leases.stop)
            started.push_async_callback(parts.prober.stop)
            if parts.proxy is not None:
                await parts.proxy.upstream.start()
                started.push_async_callback(parts.proxy.stop)
            started.push_async_callback(parts.listener.stop)
            if parts.socketio is not None:
                started.push_async_callback(parts.socketio.stop)
            if parts.passthrough is not None:
                started.callback(parts.passthrough.stop)
            started.callback(parts.evictor.stop)
            started.callback(parts.deserted.stop)
            started.callback(parts.ejector.stop)
            self._server = await _listen(parts.listener, settings.host, settings.port)
            started.push_async_callback(_stop_listening, self._server)
            self.update_backends(map(BackendUrl.parse, settings.studio_ws_urls))
            parts.lag.start()
            if parts.rebalancer is not None:
                parts.rebalancer.start()
                started.callback(parts.rebalancer.stop)
            self._started = started.pop_all()
        self.log.info(
            "listening",
            url=self.url,
            host=settings.host,
            port=self.port,
            version=VERSION,
            pid=os.getpid(),
            loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
        )

    def update_backends(self, urls: Iterable[BackendUrl]) -> None:
        """Replace the set of backends; removed backends keep their live sessions."""
        change = self.parts.pool.update(urls)
        for backend in change.left:
            self.parts.prober.forget(backend)
        for backend in change.joined:
            self.parts.prober.watch(backend)

    async def stop(self, drain_seconds: float = 0) -> None:
        """Stop admitting clients, close the live sessions with 1001, and stop.

        Args:
            drain_seconds: seconds over which the closing is spread.
        """
        started, self._started = self._started, None
        if started is None:
            return
        self.log.info("draining", connections=len(self.parts.sessions), seconds=drain_seconds)
        self.parts.admission.draining = True
        if self.parts.rebalancer is not None:
            self.parts.rebalancer.stop()
        async with started:
            await self._drain(drain_seconds)
        self._server = None
        self.log.info("stopped")
        self.log_stream.close()

    def cut_short(self) -> None:
        """Write the last log line before the process ends during its drain."""
        self.log.warning("cut_short", connections=len(self.parts.sessions))
        self.log_stream.close()

    async def _drain(self, seconds: float) -> None:
        loop, sessions = asyncio.get_running_loop(), self.parts.sessions
        proxy = self.parts.proxy
        empty = asyncio.Event()
        sessions.on_empty = empty.set
        for delay, session in draining.schedule(list(sessions), seconds, self._rng):
            loop.call_later(delay, _close, session)
        try:
            async with asyncio.timeout(seconds + self.settings.close_timeout_seconds + _OVERTIME):
                if proxy is not None:
                    await proxy.drain(seconds)
                if len(sessions):
                    await empty.wait()
        except TimeoutError:
            # Otherwise a slow reader that reads a byte now and then would delay the end for ever.
            for session in list(sessions):
                session.abort()
            await empty.wait()
        sessions.on_empty = None

    # State.

    @property
    def port(self) -> int:
        """The port on which the gateway listens."""
        if self._server is None:
            return self.settings.port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The URL at which this machine can reach the gateway."""
        host = self.settings.host
        if self._server is not None:
            host = str(self._server.sockets[0].getsockname()[0])  # a name may have other addresses as well
        host = EVERYWHERE.get(host, host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def readiness(self) -> tuple[bool, dict[str, object]]:
        """Return whether the gateway is ready, and the facts that decide this (spec §1)."""
        backends = self.parts.pool.active
        states = {backend.name: backend.tracker.state.value for backend in backends}
        draining_now = self.parts.admission.draining
        any_healthy = any(backend.healthy for backend in backends)
        return any_healthy and not draining_now, {"draining": draining_now, "studios": states}


async def _listen(listener: Listener, host: str, port: int) -> asyncio.Server:
    """Open the port; `::` is every IPv6 and IPv4 address."""

    def make_protocol() -> asyncio.Protocol:
        return HeadReader(listener)

    loop = asyncio.get_running_loop()
    if host != "::":
        return await loop.create_server(make_protocol, host, port, backlog=BACKLOG)
    sock = socket.create_server(
        (host, port),
        family=socket.AF_INET6,
        backlog=BACKLOG,
        dualstack_ipv6=socket.has_dualstack_ipv6(),  # asyncio's own socket would be for IPv6 only
    )
    return await loop.create_server(make_protocol, sock=sock, backlog=BACKLOG)


async def _stop_listening(server: asyncio.Server) -> None:
    """Close the port, after all connections that were accepted have reached their protocol.

    The loop of asyncio forgets a connection that it has accepted, but for which it has not made a transport yet when its server
    is closed: the client gets neither an answer nor an end. So it accepts no more first. uvloop accepts in one step.
    """
    loop = asyncio.get_running_loop()
    for sock in server.sockets:
        loop.remove_reader(sock.fileno())
    for _ in range(_ACCEPT_TURNS):
        await asyncio.sleep(0)
    server.close()


def _close(session: Live) -> None:
    if session.closing is None:
        session.end(Cause.DRAINING)
