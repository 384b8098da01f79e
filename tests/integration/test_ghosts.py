"""Connections of a phone that has lost its network keep its user out no longer than they must."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from websockets.exceptions import InvalidStatus

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import Target

RawUpgrade = Callable[[Target, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
Metric = Callable[..., Awaitable[float]]

pytestmark = pytest.mark.memmie(target="inprocess")


async def ghost(upgrade: RawUpgrade, target: Target, token: str) -> asyncio.StreamWriter:
    """Connect a client that never answers anything after the handshake."""
    reader, writer = await upgrade(target, token)
    assert b"101" in await reader.readline()
    return writer


async def come_back(connect: Connect) -> float:
    """Connect again and again as a client does; return the seconds until it is let in."""
    began = time.monotonic()
    async with asyncio.timeout(20):
        while True:
            try:
                await heartbeat(await connect("u1"))
            except InvalidStatus as error:
                assert error.response.status_code == 429  # noqa: PT017 - any other answer is a failure
                await asyncio.sleep(0.1)
            else:
                return time.monotonic() - began


@pytest.mark.memmie(
    studios=1,
    env={"MAX_CONNECTIONS_PER_USER": 2, "PING_INTERVAL_SECONDS": 0.5, "PING_TIMEOUT_SECONDS": 60},
)
async def test_five_seconds_after_its_ping_a_ghost_is_replaced(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    raw_upgrade: RawUpgrade,
    metric: Metric,
) -> None:
    """Before: 60 seconds until it is dead, and then the closing handshake."""
    alive = await memmie_connect("u1")
    await ghost(raw_upgrade, memmie_gateway, memmie_auth.mint("u1"))
    assert 5 <= await come_back(memmie_connect) < 9
    await heartbeat(alive)
    record = await memmie_gateway.wait_for_log(lambda line: line["event"] == "closed")
    assert (record["cause"], record["by"], record["code"]) == ("replaced", "client", None)
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="replaced") == 1
    assert len(memmie_studios[0].connections) == 2


@pytest.mark.memmie(
    studios=1,
    env={
        "MAX_CONNECTIONS_PER_USER": 1,
        "PING_INTERVAL_SECONDS": 1,
        "PING_TIMEOUT_SECONDS": 1,
        "CLOSE_TIMEOUT_SECONDS": 30,
    },
)
async def test_the_place_of_a_dead_client_is_free_within_a_second(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_connect: Connect,
    raw_upgrade: RawUpgrade,
    metric: Metric,
) -> None:
    """It is known to be dead after two seconds; the closing handshake would take thirty more."""
    await ghost(raw_upgrade, memmie_gateway, memmie_auth.mint("u1"))
    assert await come_back(memmie_connect) < 3.5
    record = await memmie_gateway.wait_for_log(lambda line: line["event"] == "closed")
    assert (record["cause"], record["code"]) == ("client_silent", None)
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="silent", mode="act") == 1
    assert await metric(memmie_gateway, "gateway_websocket_closes_total", code="1006", by="client") == 1
