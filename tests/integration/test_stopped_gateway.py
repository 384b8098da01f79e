"""A gateway that does not run for a while judges nobody by the time it has missed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import ProcessTarget, Target

RawUpgrade = Callable[[Target, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

STOPPED_SECONDS = 3.0
"""Longer than each time-out below, and than two of them after each other."""

pytestmark = pytest.mark.memmie(
    env={
        "MAX_CONNECTIONS_PER_IP": 0,
        "PING_INTERVAL_SECONDS": 1,
        "PING_TIMEOUT_SECONDS": 1,
        "WS_TIMEOUT_SECONDS": 2.5,
        "HEALTH_INTERVAL_SECONDS": 0.1,
        "HEALTH_TIMEOUT_SECONDS": 1,
        "HEALTH_FALL": 1,
        "AUTH_TIMEOUT_SECONDS": 2,
        "AUTH_BREAKER_FAILURES": 1,
        "DIAL_TIMEOUT_SECONDS": 2,
        "HEAD_SECONDS": 2,
    }
)


def records(target: Target, *events: str) -> list[dict[str, Any]]:
    return [record for record in target.logs() if record["event"] in events]


@asynccontextmanager
async def stopped(target: Target) -> AsyncIterator[None]:
    """Stop the process, and let it go on after `STOPPED_SECONDS`."""
    if not isinstance(target, ProcessTarget):
        pytest.skip("this gateway is not a process that can be stopped")
    os.kill(target.pid, signal.SIGSTOP)
    try:
        yield
        await asyncio.sleep(STOPPED_SECONDS)  # the time itself is what is tested
    finally:
        os.kill(target.pid, signal.SIGCONT)


async def test_nobody_is_ended_and_no_studio_is_unhealthy(
    memmie_gateway: Target, memmie_connect: Connect, metric: Callable[..., Awaitable[float]]
) -> None:
    clients = [await memmie_connect(f"u{number}") for number in range(20)]
    async with stopped(memmie_gateway):
        pass
    # Long enough for whoever is pinged at once and judged by the gap.
    end = time.monotonic() + 2
    while time.monotonic() < end:
        await asyncio.gather(*map(heartbeat, clients))
        await asyncio.sleep(0.2)
    assert not records(memmie_gateway, "closed", "auth_circuit")
    assert [r["state"] for r in records(memmie_gateway, "backend_health")] == ["healthy"] * 2
    assert await metric(memmie_gateway, "gateway_event_loop_lag_seconds_sum") > STOPPED_SECONDS / 2


async def test_no_ping_is_sent_before_the_gap_is_noticed(
    memmie_gateway: Target, memmie_connect: Connect
) -> None:
    """Otherwise all clients would be pinged at the moment at which the gateway goes on."""
    clients: list[ClientConnection] = [await memmie_connect(f"u{number}") for number in range(20)]
    for client in clients:
        await heartbeat(client)
    pinged: list[float] = []
    came = asyncio.Event()
    for client in clients:
        note_pings(client, pinged, came)
    async with stopped(memmie_gateway):
        assert not pinged
    went_on = time.monotonic()
    async with asyncio.timeout(10):
        await came.wait()
    assert min(pinged) - went_on >= 0.5


def note_pings(client: ClientConnection, times: list[float], came: asyncio.Event) -> None:
    """Note the time of each ping that comes; the connection itself answers it."""
    recv_frame = client.protocol.recv_frame

    def noting(frame: Any) -> None:
        if frame.opcode == 0x9:
            times.append(time.monotonic())
            came.set()
        recv_frame(frame)

    client.protocol.recv_frame = noting  # type: ignore[method-assign]


@pytest.mark.parametrize("slow", ["auth", "studio"])
@pytest.mark.memmie(studios=1)
async def test_questions_and_dials_under_way_are_not_late(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    raw_upgrade: RawUpgrade,
    metric: Callable[..., Awaitable[float]],
    slow: str,
) -> None:
    """The answer came while the gateway did not run: it counts."""
    fake = memmie_auth if slow == "auth" else memmie_studios[0]
    fake.script("latency", route="*/validate" if slow == "auth" else "/ws", seconds=1)
    reader, _ = await raw_upgrade(memmie_gateway, memmie_auth.mint("u1"))
    while await metric(memmie_gateway, "gateway_pending_connections") < 1:
        pass
    async with stopped(memmie_gateway):
        pass
    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] == b"101"
    assert not records(memmie_gateway, "auth_circuit", "dial_failed", "refused")


async def test_a_head_that_came_meanwhile_is_not_late(
    memmie_gateway: Target, metric: Callable[..., Awaitable[float]]
) -> None:
    host, port = memmie_gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health HTTP/1.1\r\n")
    while await metric(memmie_gateway, "gateway_pending_connections") < 1:
        pass
    async with stopped(memmie_gateway):
        writer.write(b"Host: gateway\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] == b"200"
    writer.close()
