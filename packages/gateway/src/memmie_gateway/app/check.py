"""`memmie-gateway check`: test the connections to Auth and to each backend before a deployment."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from dataclasses import asdict, dataclass, replace
from typing import Final

from memmie_gateway.app.settings import Settings
from memmie_gateway.core.auth.circuit import AuthHealth
from memmie_gateway.core.auth.verdicts import VerdictCache
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import ready
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.backends.health_check import HealthCheck, Kind, ProbeError
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.http1.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one check.

    Attributes:
        name: The service, "auth" or "studio".
        target: The URL of the service.
        ok: Whether the check succeeded.
        detail: A sentence about the outcome.
    """

    name: str
    target: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, object]:
        """Return the fields as a dict."""
        return asdict(self)


async def check(settings: Settings) -> list[Result]:
    """Test Auth and every backend concurrently."""
    backends = [_check_backend(BackendUrl.parse(url), settings.checks) for url in settings.studio_ws_urls]
    return list(await asyncio.gather(_check_auth(settings), *backends))


async def _check_auth(settings: Settings) -> Result:
    """Validate an invalid token with Auth; the check succeeds if Auth refuses the token."""
    cache = VerdictCache(size=1, ttl=0, refusal_ttl=0, clock=time.time, elapsed=time.monotonic, secret=b"")
    auth = CachedAuthenticator(
        settings.auth_url,
        resolver=Resolver(),
        cache=cache,
        health=AuthHealth(failures=0, probe_seconds=1),
        timeout=settings.auth_timeout_seconds,
        max_connections=1,
        rng=random.SystemRandom(),
    )
    token = f"check-{secrets.token_urlsafe(16)}"
    started = time.perf_counter()
    try:
        await ready(auth.authenticate(token, ""))
    except RefusedError as error:
        if error.cause is not Cause.TOKEN_REFUSED:
            return Result("auth", settings.auth_url, ok=False, detail=str(error))
    else:
        return Result("auth", settings.auth_url, ok=False, detail="Auth accepts an invalid token")
    finally:
        await auth.stop()
    milliseconds = (time.perf_counter() - started) * 1000
    return Result(
        "auth",
        settings.auth_url,
        ok=True,
        detail=f"Auth refuses an invalid token, as it should (answer after {milliseconds:.1f} ms)",
    )


_WORKS: Final = {
    Kind.WS: "the backend answers a ping",
    Kind.HTTP: "the backend answers a GET request",
    Kind.TCP: "the backend accepts a connection",
}


async def _check_backend(where: BackendUrl, checks: HealthCheck) -> Result:
    """Check a backend as the gateway does; if HEALTH_CHECK is off, see only whether it accepts a connection."""
    switched_off = checks.kind is Kind.OFF
    if switched_off:
        checks = replace(checks, kind=Kind.TCP)
    try:
        seconds = await checks.probe(where, Resolver())
    except ProbeError as error:
        advice = "" if switched_off else ". HEALTH_CHECK and HEALTH_PATH choose another check"
        return Result("studio", where.shown, ok=False, detail=f"{error}{advice}")
    except ExhaustionError as error:
        return Result("studio", where.shown, ok=False, detail=str(error))
    detail = f"{_WORKS[checks.kind]} at {checks.shown(where)} (after {seconds * 1000:.1f} ms)"
    if switched_off:
        detail += "; the gateway makes no health checks, because HEALTH_CHECK is off"
    return Result("studio", where.shown, ok=True, detail=detail)


def show(results: list[Result]) -> str:
    """Format the results as a table."""
    width = max(len(result.target) for result in results)
    return "\n".join(
        f"{'ok  ' if r.ok else 'FAIL'}  {r.name:<6}  {r.target:<{width}}  {r.detail}" for r in results
    )
