"""The wiring of the backends."""

from __future__ import annotations

import random

from memmie_gateway.app.events import Events
from memmie_gateway.app.settings import Settings
from memmie_gateway.core.backends.balancer import Balancer, Strategy
from memmie_gateway.core.backends.health import HealthTracker
from memmie_gateway.core.backends.outlier import OutlierTracker
from memmie_gateway.core.sessions.rebalance import Rebalance
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.backends.health_check import Kind
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.sessions.deserted import DesertedSessions
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.rebalancer import Rebalancer
from memmie_gateway.net.sessions.registry import SessionRegistry


def make_pool(
    settings: Settings, events: Events, deserted: DesertedSessions, rng: random.Random, clock: Clock
) -> BackendPool:
    """Make the pool, which is empty; for the arguments see `wiring.make_parts`."""

    def make(where: BackendUrl) -> Backend:
        tracker = HealthTracker(rise=settings.health_rise, fall=settings.health_fall)
        outlier = OutlierTracker(
            hold=settings.health_timeout_seconds, probed=settings.health_check is not Kind.OFF
        )
        backend = Backend(where, tracker, outlier, clock.loop_time)
        backend.on_change = events.health_changed
        if settings.unhealthy_sessions == "close":
            backend.on_checked = deserted.checked
            backend.on_failure = deserted.doubt
        return backend

    return BackendPool(
        Balancer(settings.lb_strategy, rng, settings.slow_start_seconds), make, clock.loop_time
    )


def make_rebalancer(
    settings: Settings, sessions: SessionRegistry, evictor: Evictor, pool: BackendPool
) -> Rebalancer | None:
    """Make what moves users to the backend where they belong; None for strategies without homes."""
    if settings.lb_strategy is not Strategy.STICKY:
        return None
    return Rebalancer(
        Rebalance(settings.rebalance),
        sessions,
        evictor,
        lambda: pool.active,
        after=settings.rebalance_after_seconds,
        slow_start=settings.slow_start_seconds,
    )
