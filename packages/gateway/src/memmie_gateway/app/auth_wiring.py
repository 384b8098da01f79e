"""The wiring of what validates tokens."""

from __future__ import annotations

import os
import random
import time
from typing import Final

from memmie_gateway.app.events import Events
from memmie_gateway.app.settings import Settings
from memmie_gateway.core.auth.circuit import AuthHealth
from memmie_gateway.core.auth.lease import TokenEnds
from memmie_gateway.core.auth.verdicts import VerdictCache
from memmie_gateway.core.sessions.recheck import Rechecks
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.rechecker import Rechecker
from memmie_gateway.net.sessions.registry import SessionRegistry

RECHECK_SHARE: Final = 4
"""Rechecks use at most this fraction of the connections to Auth, so that new clients need not wait for them."""


def make_authenticator(
    settings: Settings, resolver: Resolver, events: Events, rng: random.Random
) -> CachedAuthenticator:
    """Make what validates tokens with Auth; for the arguments see `wiring.make_parts`."""
    ends = TokenEnds(settings.token_leeway_seconds)
    ends.on_milliseconds = events.milliseconds
    authenticator = CachedAuthenticator(
        settings.auth_url,
        cache=VerdictCache(
            size=settings.auth_cache_size,
            ttl=settings.auth_cache_seconds,
            refusal_ttl=settings.auth_refusal_cache_seconds,
            stale_seconds=settings.auth_stale_seconds,
            clock=time.time,
            elapsed=time.monotonic,
            secret=os.urandom(32),
        ),
        health=AuthHealth(
            failures=settings.auth_breaker_failures, probe_seconds=settings.auth_breaker_seconds
        ),
        resolver=resolver,
        timeout=settings.auth_timeout_seconds,
        max_connections=settings.auth_max_connections,
        max_token_bytes=settings.max_token_bytes,
        keepalive=settings.auth_keepalive,
        rng=rng,
        ends=ends,
    )
    authenticator.on_circuit = events.auth_circuit
    authenticator.on_claims_dropped = events.claims_dropped
    return authenticator


def make_rechecker(
    settings: Settings,
    authenticator: CachedAuthenticator,
    sessions: SessionRegistry,
    evictor: Evictor,
    events: Events,
    rng: random.Random,
) -> Rechecker:
    """Make what asks Auth again about the tokens of live sessions; for the arguments see `Rechecker`."""
    return Rechecker(
        Rechecks(settings.auth_recheck_seconds, rng, time.monotonic()),
        authenticator.ask_again,
        most=max(1, settings.auth_max_connections // RECHECK_SHARE),
        sessions=sessions,
        evictor=evictor,
        events=events,
        clock=time.time,
        leeway=settings.token_leeway_seconds,
    )
