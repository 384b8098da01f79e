"""The HTTP proxy: forwards requests for the HTTP routes to Studio and Auth, beside the WebSocket route.

    arrival → admission → dispatch → connect → request → answer

`proxy.exchange` is one request. Here is what all of them share, and which of them are under way. Long-polling between
clients and a Studio that speak Socket.IO with each other is forwarded by the same exchanges (`socketio.passthrough`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, Protocol

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import HEAD_SOURCES, find_credentials
from memmie_gateway.core.http.origins import Origins
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.routes import RouteTable
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.ingress.listener import Elsewhere, Refusal
from memmie_gateway.net.proxy.admission import HttpAdmission
from memmie_gateway.net.proxy.asking import Upstream
from memmie_gateway.net.proxy.exchange import Exchange
from memmie_gateway.net.proxy.live_response import LiveResponse
from memmie_gateway.net.proxy.options import HttpOptions
from memmie_gateway.net.proxy.routed import RoutedExchange
from memmie_gateway.net.sessions.leases import Leases
from memmie_gateway.net.sessions.registry import SessionRegistry

LOOK_SECONDS: Final = 1.0
"""Seconds between two looks at the live responses."""


class Events(Protocol):
    """Receives the events of requests, for logs and metrics."""

    def refused(self, refusal: Refusal) -> None:
        """A client was refused."""

    def requested(self, exchange: Exchange, error: RefusedError | None) -> None:
        """An exchange is over: it is complete, or was cut because of an error."""

    def counted(self, exchange: Exchange) -> None:
        """An exchange is over, or was refused; for the metrics."""

    def dial_failed(self, backend: Backend, request_id: str, words: str) -> None:
        """A backend did not accept a connection; the next one is tried."""


class HttpProxy:
    """Forwards HTTP requests.

    Args:
        routes: the routes.
        options: limits and time-outs.
        auth_url: the URL of Auth.
        admission: admits requests.
        dispatcher: finds a backend.
        upstream: connects to services.
        sessions: the live connections, which live responses join.
        leases: end live responses when their tokens end.
        clock: tells the time for time-outs.
        events: notified of requests.
        rng: creates request ids.
        any_healthy: tells whether a backend is healthy.
        elsewhere: counts exchanges whose response is no live connection.

    Attributes: as given, and
        origins: the origins of pages that may send requests.
    """

    def __init__(
        self,
        routes: RouteTable,
        options: HttpOptions,
        *,
        auth_url: ServiceUrl,
        admission: HttpAdmission,
        dispatcher: Dispatcher,
        upstream: Upstream,
        sessions: SessionRegistry,
        leases: Leases,
        clock: Clock,
        events: Events,
        rng: random.Random,
        any_healthy: Callable[[], bool],
        elsewhere: Elsewhere,
    ) -> None:
        self._elsewhere = elsewhere
        self._routes = routes
        self._sessions = sessions
        self._leases = leases
        self._rng = rng
        self._any_healthy = any_healthy
        self._timer: asyncio.TimerHandle | None = None  # while there are live responses
        self._under_way: set[Exchange] = set()
        self._live: dict[LiveResponse, Exchange] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.options = options
        self.origins = Origins(options.allowed_origins)
        self.auth_url = auth_url
        self.admission = admission
        self.dispatcher = dispatcher
        self.upstream = upstream
        self.clock = clock
        self._events = events

    def __repr__(self) -> str:
        return f"<HttpProxy under_way={len(self._under_way)} live={len(self._live)}>"

    def __len__(self) -> int:
        """Return the number of exchanges whose response is no live connection."""
        return len(self._under_way) - len(self._live)

    @property
    def live(self) -> tuple[LiveResponse, ...]:
        """The live responses."""
        return tuple(self._live)

    def serves(self, path: str) -> bool:
        """Tell whether a path has a route."""
        return self._routes.find(path) is not None

    def __call__(self, arrival: Arrival, handover: Handover) -> None:
        """Serve a request whose path has a route."""
        route = self._routes.find(arrival.request.path)
        assert route is not None  # noqa: S101 - see `serves`
        self.begin(RoutedExchange(self, route, self.with_own_id(arrival)), handover)

    def with_own_id(self, arrival: Arrival) -> Arrival:
        """Return a request with an id that no client has chosen, because Studio and the log get it."""
        return arrival if arrival.client.trusted_peer else replace(arrival, id=self._rng.randbytes(16).hex())

    def begin(self, exchange: Exchange, handover: Handover) -> None:
        """Run an exchange on the connection of its client."""
        handover.answers_half_closed = False
        self._under_way.add(exchange)
        handover.start(exchange.run(handover))
        assert handover.task is not None  # noqa: S101 - it was started
        self._tasks.add(handover.task)
        handover.task.add_done_callback(self._tasks.discard)

    # Start and stop.

    async def drain(self, seconds: float) -> None:
        """Wait until all exchanges are over, for at most so many seconds; live responses are cut elsewhere."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def stop(self) -> None:
        """Cut all exchanges, and close all connections."""
        for exchange in tuple(self._under_way):
            exchange.cut(Cause.DRAINING)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # a loop may write buffered data to the socket only at the end of its turn
        for exchange in tuple(self._under_way):
            if exchange.client is not None:
                exchange.client.transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        await self.upstream.stop()

    # Called by the exchanges.

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what an exchange does beside its own task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def took(self) -> None:
        """An exchange has taken its connection, which the listener does not count any more."""
        self._elsewhere.count += 1

    def dial_failed(self, exchange: Exchange, backend: Backend, words: str) -> None:
        """A backend could not be reached; the next one is tried."""
        self._events.dial_failed(backend, exchange.arrival.id, words)

    def keep(self, exchange: Exchange, live: LiveResponse) -> None:
        """A response is a live connection from now on."""
        self._live[live] = exchange
        self._elsewhere.count -= 1
        self._sessions.add(live)
        if exchange.identity is not None:
            request = exchange.arrival.request
            self._leases.begun(live, find_credentials(request, HEAD_SOURCES).token or "")
        if self._timer is None:
            self._look()

    def forget(self, live: LiveResponse) -> None:
        """A live response is over."""
        exchange = self._live.pop(live)
        self._elsewhere.count += 1  # until the connection is over
        live.slots.release()
        self._sessions.remove(live)
        if exchange.identity is not None:
            self._leases.ended(live)

    def _look(self) -> None:
        """Cut the live responses of a dead backend that has sent nothing for a while, if another backend is healthy.

        HTTP has no pings, so nothing else shows that they are dead.
        """
        silent = self.options.silent_seconds
        now = self.clock.time()
        for live, exchange in tuple(self._live.items()):
            if silent and live.backend.dead and now - exchange.moved >= silent and self._any_healthy():
                live.end(Cause.BACKEND_UNHEALTHY)
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look) if self._live else None

    def done(self, exchange: Exchange, error: RefusedError | None = None) -> None:
        """A request was answered; with an error, the answer was cut."""
        self._events.counted(exchange)
        if exchange.logged:
            self._events.requested(exchange, error)

    def refused(self, exchange: Exchange, error: RefusedError) -> None:
        """A request was refused."""
        self._events.counted(exchange)
        refusal = Refusal.of(exchange.arrival, error)
        backend = exchange.backend.name if exchange.backend is not None else ""
        user_id = error.user_id or exchange.user_id
        self._events.refused(refusal._replace(user_id=user_id, backend=backend))

    def ended(self, exchange: Exchange) -> None:
        """The connection of an exchange is over."""
        if exchange in self._under_way:
            self._under_way.discard(exchange)
            self._elsewhere.count -= exchange.client is not None
