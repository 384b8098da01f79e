"""The wiring of the HTTP proxy."""

from __future__ import annotations

import random

from memmie_gateway.app.events import Events
from memmie_gateway.app.settings import Settings
from memmie_gateway.core.limits import Rate
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http_proxy import HttpProxy
from memmie_gateway.net.ingress.admission import Admission
from memmie_gateway.net.ingress.body import BodyLimit
from memmie_gateway.net.ingress.listener import Elsewhere
from memmie_gateway.net.proxy.admission import HttpAdmission, HttpLimits, HttpStores
from memmie_gateway.net.proxy.options import HttpOptions
from memmie_gateway.net.sessions.leases import Leases
from memmie_gateway.net.sessions.registry import SessionRegistry
from memmie_gateway.net.stores.local import MAX_REMEMBERED_RATES, LocalRates, LocalSlots


def make_proxy(
    settings: Settings,
    rng: random.Random,
    clock: Clock,
    *,
    admission: Admission,
    dispatcher: Dispatcher,
    authenticator: CachedAuthenticator,
    resolver: Resolver,
    sessions: SessionRegistry,
    leases: Leases,
    pool: BackendPool,
    events: Events,
    elsewhere: Elsewhere,
) -> HttpProxy | None:
    """Make the HTTP proxy; None if nothing is forwarded. For the arguments see `HttpProxy` and `wiring.make_parts`."""
    if not forwards(settings):
        return None
    # It imports aiohttp, which takes 0.1 s and 8 MB.
    from memmie_gateway.net.proxy.upstream import Upstream  # noqa: PLC0415

    return HttpProxy(
        settings.routes,
        HttpOptions(
            allowed_origins=settings.allowed_origins,
            max_body=BodyLimit(settings.http_max_body_bytes, "HTTP_MAX_BODY_BYTES"),
            connect_seconds=settings.auth_timeout_seconds,
            body_seconds=settings.http_body_seconds,
            idle_seconds=settings.http_idle_seconds,
            total_seconds=settings.http_total_seconds,
            live_seconds=settings.http_live_seconds,
            silent_seconds=silent_seconds(settings),
        ),
        auth_url=AuthUrl.parse(settings.auth_url),
        admission=HttpAdmission(
            HttpLimits(
                per_address=settings.http_connections_per_ip,
                by_address=Rate(settings.http_rate_per_ip, settings.http_burst_per_ip),
                by_user=Rate(settings.http_rate_per_user, settings.http_burst_per_user),
                open_by_address=Rate(settings.http_open_rate_per_ip, settings.http_open_burst_per_ip),
            ),
            HttpStores(
                addresses=LocalSlots(),
                by_address=LocalRates(MAX_REMEMBERED_RATES, clock.loop_time),
                by_user=LocalRates(MAX_REMEMBERED_RATES, clock.loop_time),
                open_by_address=LocalRates(MAX_REMEMBERED_RATES, clock.loop_time),
            ),
            admission,
            authenticator,
        ),
        dispatcher=dispatcher,
        upstream=Upstream(resolver),
        sessions=sessions,
        leases=leases,
        clock=clock,
        events=events,
        rng=rng,
        any_healthy=pool.any_healthy,
        elsewhere=elsewhere,
    )


def forwards(settings: Settings) -> bool:
    """Tell whether HTTP requests are forwarded: those for the routes, or long-polling."""
    return bool(settings.http_routes) or (settings.socketio == "passthrough" and settings.polling)


def silent_seconds(settings: Settings) -> float:
    """Return the time after which what comes over HTTP from a dead backend is cut; 0 for never."""
    return settings.health_timeout_seconds if settings.unhealthy_sessions == "close" else 0
