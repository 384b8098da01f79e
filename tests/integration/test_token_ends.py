"""A token's end ends what it opened (spec §2), as clients, Studio and operators see it."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from tests.clock import loop_clock, waiting_clock
from tests.integration.no_limits import NO_LIMITS
from websockets.asyncio.client import ClientConnection

from memmie_fake_auth import FakeAuth
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import Target

VALIDATE = "/api/v1/auth/validate"
ENDED = (4401, "the token expired or was revoked")

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Metric = Callable[..., Awaitable[float]]

pytestmark = pytest.mark.memmie(target="inprocess")


def end_of(token: str) -> float:
    """Return the unix seconds at which a token of the fake Auth ends."""
    payload = token.split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(payload + "=="))["exp"])


async def post(http: aiohttp.ClientSession, url: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    async with http.post(url, json=body, headers={"Authorization": f"Bearer {token}"}) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


async def log_out(http: aiohttp.ClientSession, auth: FakeAuth, token: str) -> None:
    assert await post(http, f"{auth.url}/api/v1/auth/logout", token, {}) == {"revoked": True}


async def test_a_token_of_three_seconds_is_closed_within_a_second_of_its_end_and_a_renewed_one_lives_on(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_connect: Connect,
    http: aiohttp.ClientSession,
    closed: Closed,
    metric: Metric,
) -> None:
    short, also_short = (memmie_auth.mint("u1", ttl_seconds=2) for _ in range(2))
    long = memmie_auth.mint("u1")
    left = await memmie_connect(token=short)
    renewed = await memmie_connect(token=also_short)
    other = await memmie_connect(token=long)
    renew = f"{memmie_gateway.url}/token/renew"
    assert await post(http, renew, long, {"token": also_short}) == {"moved": 1}

    assert await closed(left) == ENDED
    assert 0 <= time.time() - end_of(short) < 1
    line = await memmie_gateway.wait_for_log(lambda record: record["event"] == "closed")
    assert (line["cause"], line["by"], line["code"]) == ("token_ended", "auth", 4401)
    assert await metric(memmie_gateway, "gateway_websocket_closes_total", code="4401", by="auth") == 1
    assert await metric(memmie_gateway, "gateway_renewed_connections_total") == 1
    while time.time() < end_of(also_short) + 1:
        await heartbeat(renewed)
    await heartbeat(other)


@pytest.mark.memmie(env={"TOKEN_END": "keep"})
async def test_kept_connections_outlive_their_token(memmie_auth: FakeAuth, memmie_connect: Connect) -> None:
    token = memmie_auth.mint(ttl_seconds=0.5)
    connection = await memmie_connect(token=token)
    while time.time() < end_of(token) + 1:
        await heartbeat(connection)


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_RECHECK_SECONDS": 1})
async def test_a_recheck_of_a_revoked_token_closes_it_and_nobody_else(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_connect: Connect,
    http: aiohttp.ClientSession,
    closed: Closed,
    metric: Metric,
) -> None:
    token = memmie_auth.mint("u1")
    revoked = [await memmie_connect(token=token) for _ in range(2)]
    others = [await memmie_connect(f"o{number}") for number in range(8)]
    rechecks = functools.partial(metric, memmie_gateway, "gateway_auth_rechecks_total")
    with waiting_clock(), loop_clock() as clock:
        await log_out(http, memmie_auth, token)
        while await rechecks(outcome="refused") < 1:  # noqa: ASYNC110 - on this clock, time passes only in waiting
            await asyncio.sleep(0.02)
        memmie_auth.log.clear()
        clock.put_forward(3)
        # When some of the others are asked about for the second time, all that were due have had their turn.
        await memmie_auth.log.wait_for("request", count=len(others) + 2, path=VALIDATE)
        assert await rechecks(outcome="refused") == 1
        for connection in revoked:
            await heartbeat(connection)
        clock.put_forward(2)
        assert [await closed(connection) for connection in revoked] == [ENDED] * 2
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="refused", mode="act") == 2
    assert await metric(memmie_gateway, "gateway_auth_rechecks_total", outcome="refused") == 2
    for connection in others:
        await heartbeat(connection)


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_RECHECK_SECONDS": 1})
async def test_an_auth_that_says_401_to_everything_cuts_nobody(
    memmie_gateway: Target, memmie_auth: FakeAuth, memmie_connect: Connect, metric: Metric
) -> None:
    connections = [await memmie_connect(f"u{number}") for number in range(12)]
    scripted = memmie_auth.script("error", route=VALIDATE, status=401)
    with loop_clock() as clock:
        while scripted.struck < 4 * len(connections):
            await asyncio.gather(*map(heartbeat, connections))
            clock.put_forward(0.5)
    line = await memmie_gateway.wait_for_log(lambda record: record["event"] == "recheck_doubted")
    assert line["level"] == "warning"
    assert line["refused"] > line["asked"] / 5
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="refused") == 0
    assert await metric(memmie_gateway, "gateway_websocket_connections") == 12
