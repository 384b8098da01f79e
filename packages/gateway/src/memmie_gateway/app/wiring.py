"""The wiring: creates the parts of the gateway and connects them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from memmie_gateway.app.auth_wiring import make_authenticator, make_rechecker
from memmie_gateway.app.backend_wiring import make_pool, make_rebalancer
from memmie_gateway.app.events import Events
from memmie_gateway.app.http import HttpRoutes, Readiness
from memmie_gateway.app.http_wiring import make_proxy
from memmie_gateway.app.log_stream import LogStream
from memmie_gateway.app.logs import Log
from memmie_gateway.app.metrics import GatewayCollector, LoopLag, make_registry
from memmie_gateway.app.metrics_page import MetricsPage
from memmie_gateway.app.renew import RenewRoute
from memmie_gateway.app.settings import Settings
from memmie_gateway.app.socketio_wiring import make_passthrough, make_translator
from memmie_gateway.core.limits import Rate
from memmie_gateway.core.sessions.evictions import Evictions
from memmie_gateway.core.socketio import handshake
from memmie_gateway.core.websocket.keepalive import Times
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.backends.dialer import Dialer
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.backends.ejector import Ejector
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.backends.prober import ProbeOptions, Prober
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http_proxy import HttpProxy
from memmie_gateway.net.ingress.admission import Admission, Limits, Stores
from memmie_gateway.net.ingress.listener import Elsewhere, Handlers, Listener, ListenerOptions
from memmie_gateway.net.ingress.renewal import Renewal
from memmie_gateway.net.sessions.dead import DeadSides
from memmie_gateway.net.sessions.deserted import DesertedSessions
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.leases import Leases
from memmie_gateway.net.sessions.options import SessionOptions
from memmie_gateway.net.sessions.rebalancer import Rebalancer
from memmie_gateway.net.sessions.rechecker import Rechecker
from memmie_gateway.net.sessions.registry import SessionRegistry
from memmie_gateway.net.sessions.replacement import Replacements
from memmie_gateway.net.stores.local import MAX_REMEMBERED_RATES, LocalRates, LocalSlots
from memmie_gateway.net.websocket import PATHS, WebSocketOptions, WebSocketRoute

if TYPE_CHECKING:
    from memmie_gateway.net.socketio.passthrough import PassthroughRoute
    from memmie_gateway.net.socketio.route import SocketIoRoute

VERSION: Final = version("memmie-gateway")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a gateway that exist as long as the gateway.

    Attributes:
        admission: admits or refuses clients.
        authenticator: validates tokens.
        clock: tells the time without the pauses of this process.
        deserted: tells the clients of dead backends.
        ejector: ejects backends that break sessions.
        events: logs and counts.
        evictor: ends sessions on evidence.
        leases: end sessions when their tokens end.
        rechecker: asks Auth again about the tokens of live sessions.
        lag: measures the event loop.
        listener: reads heads, and hands connections to routes.
        pool: the backends.
        prober: checks their health.
        proxy: forwards HTTP requests; None if there are no HTTP routes.
        rebalancer: moves users to the backend where they belong; None for strategies without homes.
        sessions: the live sessions, and the HTTP responses that are live connections.
        socketio: translates Socket.IO; None if that is switched off.
        passthrough: forwards Socket.IO unchanged; None if that is switched off.
    """

    admission: Admission
    authenticator: CachedAuthenticator
    clock: Clock
    deserted: DesertedSessions
    ejector: Ejector
    events: Events
    evictor: Evictor
    leases: Leases
    rechecker: Rechecker
    lag: LoopLag
    listener: Listener
    pool: BackendPool
    prober: Prober
    proxy: HttpProxy | None
    rebalancer: Rebalancer | None
    sessions: SessionRegistry
    socketio: SocketIoRoute | None
    passthrough: PassthroughRoute | None


def make_parts(
    settings: Settings,
    log: Log,
    log_stream: LogStream,
    readiness: Readiness,
    rng: random.Random,
) -> Parts:
    """Make the parts of a gateway, and connect them.

    Args:
        settings: all settings.
        log: the logger for events.
        log_stream: the output of the log, for its metrics.
        readiness: called for every `/ready`.
        rng: creates ids and keys, and breaks ties.
    """
    events = Events(log)
    clock = Clock()
    resolver = Resolver()
    resolver.on_stale = events.name_stale
    resolver.on_several = events.several_addresses
    sessions = SessionRegistry()
    evictor = Evictor(
        Evictions(settings.evict_per_second), settings.evictions, live=sessions.__len__, events=events
    )
    deserted = DesertedSessions(
        sessions, evictor, lambda: pool.active, seconds=settings.health_timeout_seconds, rng=rng
    )
    pool = make_pool(settings, events, deserted, rng, clock)
    rebalancer = make_rebalancer(settings, sessions, evictor, pool)
    authenticator = make_authenticator(settings, resolver, events, rng)
    ejector = Ejector(
        pool,
        sessions.users_on,
        events,
        enabled=settings.outlier_ejection,
        now=clock.loop_time,
    )
    rechecker = make_rechecker(settings, authenticator, sessions, evictor, events, rng)
    leases = Leases(
        sessions,
        close=settings.token_end == "close",  # noqa: S105 - not a token
        clock=time.time,
        rechecks=rechecker if settings.auth_recheck_seconds else None,
    )
    rechecker.on_valid = leases.extend
    lag = LoopLag()
    admission = Admission(
        Limits(
            per_address=settings.max_connections_per_ip,
            per_user=settings.max_connections_per_user,
            connects=Rate(settings.connect_rate_per_ip, settings.connect_burst_per_ip),
            messages=Rate(settings.message_rate_per_user, settings.message_burst_per_user),
        ),
        Stores(
            addresses=LocalSlots(),
            users=LocalSlots(),
            connects=LocalRates(MAX_REMEMBERED_RATES, clock.loop_time),
            messages=LocalRates(MAX_REMEMBERED_RATES, clock.loop_time),
        ),
        authenticator,
        full=lambda: listener.full(),  # noqa: PLW0108 - it is defined below
        replace=Replacements(sessions, evictor).begin,
    )
    keepalive = Times(settings.ping_interval_seconds, settings.ping_timeout_seconds)
    elsewhere = Elsewhere()
    dispatcher = Dispatcher(
        pool,
        rebalancer.bound_to if rebalancer is not None else sessions.home,
        settings.dial_timeout_seconds,
        clock.loop_time,
    )
    proxy = make_proxy(
        settings,
        rng,
        clock,
        admission=admission,
        dispatcher=dispatcher,
        authenticator=authenticator,
        resolver=resolver,
        sessions=sessions,
        leases=leases,
        pool=pool,
        events=events,
        elsewhere=elsewhere,
    )
    websocket = WebSocketRoute(
        WebSocketOptions(
            enabled=settings.websocket_enabled,
            allowed_origins=settings.allowed_origins,
            first_message_auth=settings.first_message_auth,
            first_message_seconds=settings.first_message_seconds,
            browser_refusals=settings.browser_refusals,
        ),
        SessionOptions(
            max_message_bytes=settings.max_message_bytes,
            write_buffer_bytes=settings.write_buffer_bytes,
            idle_seconds=settings.ws_timeout_seconds,
            keepalive=keepalive,
            close_timeout=settings.close_timeout_seconds,
            rate_max_delay=settings.message_rate_max_delay_seconds,
        ),
        admission=admission,
        dispatcher=dispatcher,
        dialer=Dialer(resolver, clock=clock),
        ejector=ejector,
        sessions=sessions,
        on_dead=DeadSides(evictor, clock).found,
        clock=clock,
        leases=leases,
        events=events,
        rng=rng,
    )
    translator = make_translator(settings, websocket, admission, dispatcher, elsewhere, keepalive)
    passthrough = make_passthrough(
        settings,
        websocket,
        proxy,
        admission=admission,
        dispatcher=dispatcher,
        sessions=sessions,
        leases=leases,
        pool=pool,
        elsewhere=elsewhere,
        events=events,
    )
    socketio = translator or passthrough
    collector = GatewayCollector(
        pool=pool,
        resolver=resolver,
        sessions=sessions,
        events=events,
        authenticator=authenticator,
        evictor=evictor,
        rebalancer=rebalancer,
        leases=leases,
        rechecker=rechecker,
        pending=lambda: len(listener.pending),
        lag=lag,
        log_stream=log_stream,
        version=VERSION,
    )
    http = HttpRoutes(
        version=VERSION,
        readiness=readiness,
        metrics=MetricsPage(make_registry(collector), settings.metrics_cache_seconds),
        renew=RenewRoute(
            Renewal(admission, authenticator, leases.renew, allowed_origins=settings.allowed_origins),
            events,
            body_seconds=settings.head_seconds,
        ),
        limit_rate=admission.limit_rate,
        events=events,
        proxy=proxy,
    )
    if proxy is not None:
        collector.proxy = proxy
    listener = Listener(
        ListenerOptions(
            max_head_bytes=settings.max_head_bytes,
            max_headers=settings.max_headers,
            head_seconds=settings.head_seconds,
            max_connections=settings.max_connections,
            max_connections_per_address=settings.max_connections_per_ip,
            trusted_proxies=settings.trusted_networks,
        ),
        Handlers(
            routes=dict.fromkeys(PATHS, websocket)
            | ({handshake.PATH: socketio} if socketio is not None else {}),
            http=http,
            refused=events.refused,
            connections=sessions.__len__,
        ),
        rng,
        clock,
        elsewhere,
    )
    prober = Prober(
        ProbeOptions(
            interval=settings.health_interval_seconds,
            recovery_interval=settings.health_recovery_seconds,
            check=settings.checks,
        ),
        resolver,
        rng,
    )
    return Parts(
        admission,
        authenticator,
        clock,
        deserted,
        ejector,
        events,
        evictor,
        leases,
        rechecker,
        lag,
        listener,
        pool,
        prober,
        proxy,
        rebalancer,
        sessions,
        translator,
        passthrough,
    )
