"""Prometheus metrics (spec §6), computed at each scrape from the counters of the gateway."""

from __future__ import annotations

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from memmie_gateway.app.events import Events
from memmie_gateway.app.log_stream import LogStream
from memmie_gateway.core.backends.health import Health
from memmie_gateway.core.histogram import CALL_BOUNDS, Histogram
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http_proxy import HttpProxy
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.leases import Leases
from memmie_gateway.net.sessions.rebalancer import Rebalancer
from memmie_gateway.net.sessions.rechecker import Rechecker
from memmie_gateway.net.sessions.registry import SessionRegistry
from memmie_gateway.net.sessions.session import Session
from memmie_gateway.net.socketio.passed_session import PassedSession

_UP: Final = "client->backend"
_DOWN: Final = "backend->client"

LAG_SECONDS: Final = 0.5
"""How often the lag of the event loop is measured."""


class LoopLag:
    """Measures the delay with which the event loop runs scheduled work; a long delay means that it is too busy.

    Attributes:
        histogram: the delays in seconds.
    """

    def __init__(self) -> None:
        self.histogram = Histogram(CALL_BOUNDS)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start measuring."""
        self._timer = asyncio.get_running_loop().call_later(LAG_SECONDS, self._measure, time.perf_counter())

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()

    def _measure(self, since: float) -> None:
        self.histogram.add(max(0.0, time.perf_counter() - since - LAG_SECONDS))
        self.start()


class GatewayCollector:
    """Converts the counters of the gateway's parts to Prometheus metrics.

    Args:
        pool: the backends.
        resolver: counts the stale names.
        sessions: the live sessions.
        events: counts refusals and ended sessions.
        authenticator: counts the requests to Auth.
        evictor: counts the evictions.
        rebalancer: counts the users who belong to another backend; None for strategies without homes.
        leases: count the renewals.
        rechecker: counts the rechecks of tokens.
        pending: returns the number of connections with a request that is not answered yet.
        lag: measures the event loop.
        log_stream: counts the lines that were dropped.
        version: the version of the gateway.
    """

    def __init__(
        self,
        *,
        pool: BackendPool,
        resolver: Resolver,
        sessions: SessionRegistry,
        events: Events,
        authenticator: CachedAuthenticator,
        evictor: Evictor,
        rebalancer: Rebalancer | None,
        leases: Leases,
        rechecker: Rechecker,
        pending: Callable[[], int],
        lag: LoopLag,
        log_stream: LogStream,
        version: str,
    ) -> None:
        self._pool = pool
        self._resolver = resolver
        self._sessions = sessions
        self._events = events
        self._authenticator = authenticator
        self._evictor = evictor
        self._rebalancer = rebalancer
        self._leases = leases
        self._rechecker = rechecker
        self._pending = pending
        self._lag = lag
        self._log_stream = log_stream
        self._version = version
        self.proxy: HttpProxy | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; called at each scrape."""
        yield from self._traffic()
        yield from self._backends()
        yield from self._ends()
        yield from self._http()
        yield from self._evictions()
        yield from self._misplaced()
        yield from self._auth_metrics()
        yield from self._tokens()
        yield from self._process()

    def _traffic(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily(
            "gateway_websocket_connections", "Live WebSocket connections.", labels=["backend"]
        )
        messages = CounterMetricFamily(
            "gateway_websocket_messages", "Messages read from each side.", labels=["direction", "backend"]
        )
        received = CounterMetricFamily(
            "gateway_websocket_bytes",
            "Bytes received, frame headers included.",
            labels=["direction", "backend"],
        )
        # Live HTTP responses are in the registry, too, but are neither WebSockets nor Socket.IO. And a client of Socket.IO that
        # has upgraded is there twice for a moment.
        sessions = [session for session in self._sessions if isinstance(session, Session | PassedSession)]
        count = Counter(
            session.backend for session in sessions if isinstance(session, Session) or not session.lent
        )
        traffic = {backend: backend.traffic for backend in self._pool}
        for session in sessions:
            traffic[session.backend] = traffic[session.backend].plus(session.traffic())
        for backend, sum_of in traffic.items():
            connections.add_metric([backend.name], count[backend])
            messages.add_metric([_UP, backend.name], sum_of.messages_from_client)
            messages.add_metric([_DOWN, backend.name], sum_of.messages_from_backend)
            received.add_metric([_UP, backend.name], sum_of.bytes_from_client)
            received.add_metric([_DOWN, backend.name], sum_of.bytes_from_backend)
        yield connections
        yield messages
        yield received

    def _backends(self) -> Iterator[Metric]:
        errors = CounterMetricFamily(
            "gateway_websocket_errors",
            "Errors by type: a code of docs/closing.md, or dial_failed.",
            labels=["type", "backend"],
        )
        latency = HistogramMetricFamily(
            "gateway_websocket_latency_seconds",
            "Time that messages spent in the gateway; measured for the first chunk of each direction, then every 64th.",
            labels=["backend"],
        )
        healthy = GaugeMetricFamily(
            "gateway_backend_healthy",
            "1 for a healthy backend, 0 for an unhealthy or unknown one.",
            labels=["backend"],
        )
        ejected = GaugeMetricFamily(
            "gateway_backend_ejected",
            "1 for a backend that gets no new connections because it broke those of many users, otherwise 0.",
            labels=["backend"],
        )
        for backend in self._pool:
            for kind, number in backend.errors.items():
                errors.add_metric([kind, backend.name], number)
            _add_histogram(latency, [backend.name], backend.latency)
            healthy.add_metric([backend.name], int(backend.tracker.state is Health.HEALTHY))
            ejected.add_metric([backend.name], int(backend.ejected))
        yield errors
        yield latency
        yield healthy
        yield ejected
        stale = GaugeMetricFamily(
            "gateway_stale_names", "Names whose last addresses are in use because they cannot be looked up."
        )
        stale.add_metric([], self._resolver.stale)
        yield stale

    def _ends(self) -> Iterator[Metric]:
        closes = CounterMetricFamily(
            "gateway_websocket_closes",
            "Ended connections, by close code, or other, and by the party that caused the end.",
            labels=["code", "by"],
        )
        for (code, by), number in self._events.closes.items():
            closes.add_metric([code, by], number)
        yield closes
        refusals = CounterMetricFamily(
            "gateway_refusals", "Refused requests, by reason and HTTP status.", labels=["reason", "status"]
        )
        for (reason, status), number in self._events.refusals.items():
            refusals.add_metric([reason, status], number)
        yield refusals
        pending = GaugeMetricFamily(
            "gateway_pending_connections", "Connections with a request that is not answered yet."
        )
        pending.add_metric([], self._pending())
        yield pending

    def _http(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "gateway_http_requests",
            "HTTP requests for the routes of HTTP_ROUTES, by route, method and status.",
            labels=["route", "method", "status"],
        )
        for labels, number in self._events.requests.items():
            requests.add_metric(list(labels), number)
        yield requests
        duration = HistogramMetricFamily(
            "gateway_http_request_duration_seconds",
            "Time from the head of an HTTP request to the end of its answer.",
            labels=["route"],
        )
        for route, histogram in self._events.request_seconds.items():
            _add_histogram(duration, [route], histogram)
        yield duration
        live = GaugeMetricFamily(
            "gateway_http_live_responses",
            "HTTP answers that have been streaming for HTTP_LIVE_SECONDS.",
            labels=["backend"],
        )
        if self.proxy is not None:
            streaming = Counter(each.backend for each in self.proxy.live)
            for backend in self._pool:
                live.add_metric([backend.name], streaming[backend])
        yield live

    def _evictions(self) -> Iterator[Metric]:
        evictor = self._evictor
        evicted = CounterMetricFamily(
            "gateway_evictions",
            "Connections that the gateway ended on evidence, or would have ended if EVICTIONS were act.",
            labels=["evidence", "mode"],
        )
        for evidence, number in evictor.evicted.items():
            evicted.add_metric([evidence.value, evictor.mode.value], number)
        yield evicted
        waiting = GaugeMetricFamily(
            "gateway_evictions_waiting",
            "Connections that the gateway will end on evidence as soon as EVICT_PER_SECOND and other limits allow it.",
            labels=["evidence"],
        )
        for evidence, number in evictor.waiting():
            waiting.add_metric([evidence.value], number)
        yield waiting

    def _misplaced(self) -> Iterator[Metric]:
        rebalancer = self._rebalancer
        split = GaugeMetricFamily(
            "gateway_users_split",
            "Users with connections to several backends; they may miss events. Only with LB_STRATEGY=sticky.",
        )
        split.add_metric([], rebalancer.split if rebalancer is not None else 0)
        yield split
        strays = GaugeMetricFamily(
            "gateway_strays",
            "Connections to another backend than the home of their user. Only with LB_STRATEGY=sticky.",
        )
        strays.add_metric([], rebalancer.strays if rebalancer is not None else 0)
        yield strays

    def _auth_metrics(self) -> Iterator[Metric]:
        auth = self._authenticator
        latency = HistogramMetricFamily(
            "gateway_auth_latency_seconds", "Time Auth took to answer.", labels=[]
        )
        _add_histogram(latency, [], auth.latency)
        yield latency
        verdicts = CounterMetricFamily(
            "gateway_auth_verdicts",
            "Tokens validated, by source of the verdict: the cache, a request shared with another connection, Auth, "
            "or Auth's last answer while Auth fails.",
            labels=["source", "outcome"],
        )
        verdicts.add_metric(["cache", "known"], auth.hits)
        verdicts.add_metric(["shared", "known"], auth.shared)
        verdicts.add_metric(["stale", "known"], auth.stale)
        for outcome, number in auth.asked.items():
            verdicts.add_metric(["auth", outcome], number)
        yield verdicts
        cached = GaugeMetricFamily("gateway_auth_cached_verdicts", "Verdicts in the cache.")
        cached.add_metric([], auth.cached)
        yield cached
        circuit = GaugeMetricFamily(
            "gateway_auth_circuit_open",
            "1 while the circuit of Auth is open after repeated failures, also while clients' tokens are tried again.",
        )
        circuit.add_metric([], int(auth.circuit != "closed"))
        yield circuit

    def _tokens(self) -> Iterator[Metric]:
        rechecks = CounterMetricFamily(
            "gateway_auth_rechecks",
            "Questions to Auth about the tokens of live connections, by what Auth said.",
            labels=["outcome"],
        )
        for answer, number in self._rechecker.answers.items():
            rechecks.add_metric([answer.value], number)
        yield rechecks
        renewed = CounterMetricFamily(
            "gateway_renewed_connections", "Connections that were moved to a new token."
        )
        renewed.add_metric([], self._leases.renewed)
        yield renewed

    def _process(self) -> Iterator[Metric]:
        lag = HistogramMetricFamily(
            "gateway_event_loop_lag_seconds",
            "Delay with which the event loop runs scheduled work.",
            labels=[],
        )
        _add_histogram(lag, [], self._lag.histogram)
        yield lag
        dropped = CounterMetricFamily(
            "gateway_log_lines_dropped",
            "Log lines dropped because the reader of the log did not take them in time.",
        )
        dropped.add_metric([], self._log_stream.dropped)
        yield dropped
        build = GaugeMetricFamily(
            "gateway_build_info",
            "The versions of the gateway and of Python; always 1.",
            labels=["version", "python"],
        )
        build.add_metric([self._version, platform.python_version()], 1)
        yield build


def make_registry(collector: GatewayCollector) -> CollectorRegistry:
    """Make a separate registry, so that two gateways can run in one process."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def _add_histogram(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
    family.add_metric(labels, buckets, histogram.total)
