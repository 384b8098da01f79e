"""What counts as the gateway's own exhaustion, and that it does not count against a peer."""

from __future__ import annotations

import asyncio
import errno
import random
import time

import pytest

from memmie_gateway.core.auth.circuit import AuthHealth
from memmie_gateway.core.auth.verdicts import VerdictCache
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import ready
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.backends.health_check import HealthCheck, Kind, ProbeError
from memmie_gateway.net.http1.exhaustion import ExhaustionError, raise_exhaustion
from memmie_gateway.net.http1.resolver import Resolver

OURS = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]
THEIRS = ["ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ETIMEDOUT"]


def error_of(name: str) -> OSError:
    return OSError(getattr(errno, name), name)


@pytest.mark.parametrize("name", OURS)
def test_ours(name: str) -> None:
    with pytest.raises(ExhaustionError, match=name):
        raise_exhaustion(error_of(name))


@pytest.mark.parametrize("name", THEIRS)
def test_theirs(name: str) -> None:
    raise_exhaustion(error_of(name))


@pytest.mark.parametrize("name", OURS)
async def test_a_question_that_could_not_be_asked_says_nothing_of_auth(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = VerdictCache(size=10, ttl=1, refusal_ttl=1, clock=time.time, elapsed=time.monotonic, secret=b"x")
    health = AuthHealth(failures=1, probe_seconds=60)
    auth = CachedAuthenticator(
        "http://127.0.0.1:1",
        cache=cache,
        health=health,
        resolver=Resolver(),
        timeout=5,
        max_connections=1,
        rng=random.SystemRandom(),
    )

    async def fail(*_: object, **__: object) -> None:
        raise error_of(name)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    try:
        with pytest.raises(RefusedError, match=name) as raised:
            await ready(auth.authenticate("token", "192.0.2.1"))
    finally:
        await auth.stop()
    assert raised.value.cause is Cause.GATEWAY_FULL
    assert repr(health) == "<AuthHealth closed <FailureWindow addresses=0 tokens=0>>"
    assert not auth.asked


@pytest.mark.parametrize(("name", "expected"), [("EMFILE", ExhaustionError), ("ECONNREFUSED", ProbeError)])
@pytest.mark.parametrize("kind", [Kind.WS, Kind.HTTP, Kind.TCP])
async def test_a_probe_that_could_not_be_made_says_nothing_of_studio(
    name: str, expected: type[Exception], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error_of(name)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", fail)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    with pytest.raises(expected):
        await HealthCheck(kind, "", 5).probe(BackendUrl.parse("ws://127.0.0.1:1/ws"), Resolver())
    await asyncio.sleep(0)
