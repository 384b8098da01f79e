"""A gateway that does not run for a while judges nobody by the time it has missed.

The gateway is stopped only once, because the time that it is stopped is what takes time here.
"""

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

Metric = Callable[..., Awaitable[float]]
RawUpgrade = Callable[[Target, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

STOPPED_SECONDS = 3.0
"""Longer than each time-out below, and than two of them after each other."""

pytestmark = pytest.mark.memmie(
    env={
        "MAX_CONNECTIONS_PER_IP": 0,
        "CONNECT_RATE_PER_IP": 0,
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


async def test_nobody_is_judged_by_the_time_that_the_gateway_missed(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    memmie_connect: Connect,
    raw_upgrade: RawUpgrade,
    metric: Metric,
) -> None:
    clients: list[ClientConnection] = [await memmie_connect(f"u{number}") for number in range(20)]
    slow_auth = memmie_auth.script("latency", route="*/validate", seconds=1)
    asking, _ = await raw_upgrade(memmie_gateway, memmie_auth.mint("asking"))
    await memmie_auth.log.wait_for("request", count=21, path="/api/v1/auth/validate")
    memmie_auth.unscript(slow_auth.id)
    for studio in memmie_studios:
        studio.script("latency", route="/ws", seconds=1)
    dialling, _ = await raw_upgrade(memmie_gateway, memmie_auth.mint("dialling"))
    host, port = memmie_gateway.url.removeprefix("http://").split(":")
    half, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health HTTP/1.1\r\n")
    while await metric(memmie_gateway, "gateway_pending_connections") < 3:
        pass
    pinged: list[float] = []
    came = asyncio.Event()
    await asyncio.gather(*map(heartbeat, clients))
    for client in clients:
        note_pings(client, pinged, came)
    async with stopped(memmie_gateway):
        assert not pinged
        writer.write(b"Host: gateway\r\n\r\n")
    went_on = time.monotonic()

    async with asyncio.timeout(10):
        # The answers came while the gateway did not run: they count.
        for reader, status in ((asking, b"101"), (dialling, b"101"), (half, b"200")):
            assert (await reader.readline()).split()[1] == status
        # Otherwise all clients would be pinged at the moment at which the gateway goes on.
        await came.wait()
    assert min(pinged) - went_on >= 0.5
    # Long enough for whoever is pinged at once and judged by the gap.
    while time.monotonic() < went_on + 2:
        await asyncio.gather(*map(heartbeat, clients))
        await asyncio.sleep(0.2)
    assert not records(memmie_gateway, "auth_circuit", "dial_failed", "refused")
    # The bare connections answer no ping.
    ended = [record["user_id"] for record in records(memmie_gateway, "closed")]
    assert set(ended) <= {"asking", "dialling"}
    assert [r["state"] for r in records(memmie_gateway, "backend_health")] == ["healthy"] * 2
    assert await metric(memmie_gateway, "gateway_event_loop_lag_seconds_sum") > STOPPED_SECONDS / 2
    writer.close()


def note_pings(client: ClientConnection, times: list[float], came: asyncio.Event) -> None:
    """Note the time of each ping that comes; the connection itself answers it."""
    recv_frame = client.protocol.recv_frame

    def noting(frame: Any) -> None:
        if frame.opcode == 0x9:
            times.append(time.monotonic())
            came.set()
        recv_frame(frame)

    client.protocol.recv_frame = noting  # type: ignore[method-assign]
