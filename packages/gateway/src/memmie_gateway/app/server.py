"""The gateway as an object: everything wired together, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final, Self

from aiohttp import web

from memmie_gateway.app.events import Events
from memmie_gateway.app.http import HttpProtocol, make_app
from memmie_gateway.app.log_stream import LogStream
from memmie_gateway.app.logs import make_logger
from memmie_gateway.app.metrics import GatewayCollector, LoopLag, make_registry
from memmie_gateway.app.settings import Settings
from memmie_gateway.core import draining
from memmie_gateway.core.balancer import Balancer
from memmie_gateway.core.breaker import Breaker
from memmie_gateway.core.health import HealthTracker
from memmie_gateway.core.limits import ConcurrencyLimit, Rates
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.verdicts import VerdictCache
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.backends.dialer import Dialer
from memmie_gateway.net.backends.prober import ProbeOptions, Prober
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.ingress.listener import Edge, EdgeHandlers, EdgeOptions
from memmie_gateway.net.sessions.registry import Registry
from memmie_gateway.net.sessions.session import Session, SessionOptions
from memmie_gateway.net.websocket import Connector, ConnectorOptions, Limits

VERSION: Final = version("memmie-gateway")

BACKLOG: Final = 4096
"""Connections that may wait to be accepted: a whole fleet of clients comes back at once."""

_OVERTIME: Final = 2.0
"""Seconds, after the last closing handshake should be over, until a gateway that stops waits for nobody any more."""

MAX_REMEMBERED_RATES: Final = 100_000
"""Addresses, and users, whose rates are remembered."""


class Gateway:
    """The gateway.

    ```python
    gateway = Gateway(Settings(port=0))
    await gateway.start()
    print(gateway.url)
    await gateway.stop()
    ```

    Args:
        settings: everything that can be set.

    Attributes:
        settings: as given.
        registry: the Studios and the live sessions.
        log_stream: where its log goes, standard output in the end.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log_stream = LogStream(sys.stdout)
        self._log = make_logger(
            settings.log_format, settings.log_level, self.log_stream, terminal=sys.stdout.isatty()
        )
        self._rng = random.SystemRandom()
        self._observer = Events(self._log)
        self._resolver = Resolver()
        self.registry = self._make_registry()
        self._auth = self._make_auth()
        self._prober = Prober(
            ProbeOptions(
                interval=settings.health_interval_seconds,
                recovery_interval=settings.health_recovery_seconds,
                timeout=settings.health_timeout_seconds,
            ),
            self._rng,
            self._resolver,
        )
        self._connector = self._make_connector()
        self._lag = LoopLag()
        self._server: asyncio.Server | None = None
        self._parts: contextlib.AsyncExitStack | None = None
        self._edge: Edge | None = None

    def __repr__(self) -> str:
        return f"<Gateway {self.url if self._server else 'stopped'} {self.registry!r}>"

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Make a gateway from variables (spec §7).

        Raises:
            SettingsError: a value cannot be used.
        """
        return cls(Settings.from_env(environment))

    # What it is made of.

    def _make_registry(self) -> Registry:
        settings = self.settings
        backends = [
            Backend(
                BackendUrl.parse(url), HealthTracker(rise=settings.health_rise, fall=settings.health_fall)
            )
            for url in settings.studio_ws_urls
        ]
        for backend in backends:
            backend.on_change = self._observer.health_changed
        return Registry(backends, Balancer(settings.lb_strategy, self._rng))

    def _make_auth(self) -> CachedAuthenticator:
        settings = self.settings
        auth = CachedAuthenticator(
            settings.auth_url,
            resolver=self._resolver,
            cache=VerdictCache(
                size=settings.auth_cache_size,
                ttl=settings.auth_cache_seconds,
                refusal_ttl=settings.auth_refusal_cache_seconds,
                clock=time.time,
                secret=os.urandom(32),
            ),
            breaker=Breaker(
                failures=settings.auth_breaker_failures, open_seconds=settings.auth_breaker_seconds
            ),
            timeout=settings.auth_timeout_seconds,
            max_connections=settings.auth_max_connections,
        )
        auth.on_circuit = self._observer.auth_circuit
        auth.on_claims_dropped = self._observer.claims_dropped
        return auth

    def _make_connector(self) -> Connector:
        settings = self.settings
        return Connector(
            ConnectorOptions(
                enabled=settings.websocket_enabled,
                trusted_proxies=settings.trusted_networks,
                allowed_origins=settings.allowed_origins,
                first_message_auth=settings.first_message_auth,
                first_message_seconds=settings.first_message_seconds,
            ),
            SessionOptions(
                max_message_bytes=settings.max_message_bytes,
                write_buffer_bytes=settings.write_buffer_bytes,
                idle_seconds=settings.ws_timeout_seconds,
                ping_interval=settings.ping_interval_seconds,
                ping_timeout=settings.ping_timeout_seconds,
                close_timeout=settings.close_timeout_seconds,
                rate_max_delay=settings.message_rate_max_delay_seconds,
            ),
            limits=Limits(
                by_address=ConcurrencyLimit(settings.max_connections_per_ip),
                by_user=ConcurrencyLimit(settings.max_connections_per_user),
                connects=Rates(
                    settings.connect_rate_per_ip, settings.connect_burst_per_ip, MAX_REMEMBERED_RATES
                ),
                messages=Rates(
                    settings.message_rate_per_user, settings.message_burst_per_user, MAX_REMEMBERED_RATES
                ),
            ),
            auth=self._auth,
            registry=self.registry,
            dialer=Dialer(self._resolver, timeout=settings.dial_timeout_seconds),
            observer=self._observer,
            rng=self._rng,
        )

    # Its life.

    async def start(self) -> None:
        """Listen, and begin to probe the Studios.

        Raises:
            OSError: the address cannot be listened on.
        """
        settings = self.settings
        http_server: web.Server | None = None

        def handed_over() -> int:
            return len(http_server.connections) if http_server is not None else 0

        def serve_http() -> asyncio.Protocol:
            assert http_server is not None  # noqa: S101 - it is there before the port is
            return HttpProtocol(http_server, asyncio.get_running_loop())

        edge = self._edge = Edge(
            EdgeOptions(
                max_head_bytes=settings.max_head_bytes,
                max_headers=settings.max_headers,
                head_seconds=settings.head_seconds,
                max_connections=settings.max_connections,
                max_connections_per_address=settings.max_connections_per_ip,
                trusted_proxies=settings.trusted_networks,
            ),
            EdgeHandlers(
                upgrade=self._connector.connect,
                http=serve_http,
                refused=self._connector.refused_at_edge,
                connections=lambda: len(self.registry) + handed_over(),
            ),
        )
        collector = GatewayCollector(
            registry=self.registry,
            observer=self._observer,
            auth=self._auth,
            edge=edge,
            lag=self._lag,
            log_stream=self.log_stream,
            version=VERSION,
        )
        app = make_app(version=VERSION, readiness=self.readiness, metrics=make_registry(collector))
        http = web.AppRunner(app, access_log=None, handle_signals=False)
        async with contextlib.AsyncExitStack() as parts:  # undone in reverse, also where one of them fails
            parts.callback(self._lag.stop)
            parts.push_async_callback(self._auth.stop)
            parts.push_async_callback(http.cleanup)
            parts.push_async_callback(self._prober.stop)
            parts.push_async_callback(edge.stop)
            await http.setup()
            http_server = http.server
            self._server = await asyncio.get_running_loop().create_server(
                edge, settings.host, settings.port, backlog=BACKLOG
            )
            parts.callback(self._server.close)
            for backend in self.registry.backends:
                self._prober.watch(backend)
            self._lag.start()
            self._parts = parts.pop_all()
        self._log.info(
            "listening",
            url=self.url,
            host=settings.host,
            port=self.port,
            version=VERSION,
            pid=os.getpid(),
            loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
        )

    async def stop(self, drain_seconds: float = 0) -> None:
        """Let nobody in any more, close the live connections with 1001, and end.

        Args:
            drain_seconds: how long to spread the closing over.
        """
        parts, self._parts = self._parts, None
        if parts is None:
            return
        self._log.info("draining", connections=len(self.registry), seconds=drain_seconds)
        self._connector.draining = True
        async with parts:
            await self._drain(drain_seconds)
        self._server = None
        self._log.info("stopped")
        self.log_stream.close()

    def cut_short(self) -> None:
        """Say the last word before the process ends in the middle of its drain."""
        self._log.warning("cut_short", connections=len(self.registry))
        self.log_stream.close()

    async def _drain(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        empty = asyncio.Event()
        self.registry.on_empty = empty.set
        for delay, session in draining.schedule(list(self.registry), seconds, self._rng):
            loop.call_later(delay, _close, session)
        try:
            async with asyncio.timeout(seconds + self.settings.close_timeout_seconds + _OVERTIME):
                if len(self.registry):
                    await empty.wait()
        except TimeoutError:
            # A slow reader is waited for as long as it reads on: a byte now and then would be for ever.
            for session in list(self.registry):
                session.abort()
            await empty.wait()
        self.registry.on_empty = None

    # What it says of itself.

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            return self.settings.port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where it can be reached from this machine."""
        host = self.settings.host
        if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not listened on
            host = "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def readiness(self) -> tuple[bool, dict[str, object]]:
        """Tell whether it accepts work, and why not (spec §1)."""
        backends = {backend.url: backend.tracker.state.value for backend in self.registry.backends}
        draining_now = self._connector.draining
        any_healthy = any(backend.healthy for backend in self.registry.backends)
        return any_healthy and not draining_now, {"draining": draining_now, "studios": backends}


def _close(session: Session) -> None:
    if session.closing is None:
        session.end(Cause.DRAINING)
