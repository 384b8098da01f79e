"""The clients of a dead Studio are told, and those of a Studio that only looks dead are left alone (spec §3)."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.no_limits import NO_LIMITS
from tests.integration.tabs import until
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway.core.backends.balancer import rendezvous_score
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect, MintToken, StartGateway
from memmie_harness.targets import Target

Closed = Callable[..., Awaitable[tuple[int | None, str]]]
Dial = Callable[..., Awaitable[ClientConnection]]
Metric = Callable[..., Awaitable[float]]

pytestmark = pytest.mark.memmie(target="inprocess")

UNHEALTHY = (1012, "Studio is not healthy, reconnect")
CLIENTS = 80
QUICK = {
    **NO_LIMITS,
    "HEALTH_INTERVAL_SECONDS": 0.3,
    "HEALTH_RECOVERY_SECONDS": 0.1,
    "HEALTH_TIMEOUT_SECONDS": 0.5,
}


@dataclass
class StudioProcess:
    """A fake Studio as a process, which can be frozen."""

    process: asyncio.subprocess.Process
    ws_url: str


@pytest.fixture
async def studio_process(memmie_auth: FakeAuth) -> AsyncIterator[StudioProcess]:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "memmie-fake-studio", "serve", "--port", "0",
        "--auth-url", memmie_auth.url, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    listening = json.loads(await process.stdout.readline())
    yield StudioProcess(process, f"ws://127.0.0.1:{listening['port']}/ws")
    process.send_signal(signal.SIGCONT)
    process.kill()
    await process.communicate()


def user_of(ws_url: str, others: list[FakeStudio]) -> str:
    """Return a user whose Studio is the one at this address."""
    urls = [ws_url, *(studio.ws_url for studio in others)]
    users = (f"u{number}" for number in range(1000))
    return next(u for u in users if max(urls, key=lambda url: rendezvous_score(u, url)) == ws_url)


def freeze(studio: FakeStudio) -> None:
    """Let a Studio accept TCP connections, and neither read nor answer anything any more."""
    studio.script("hang", route="*")
    for connection in studio.connections:
        studio.script("freeze", connection=connection.id)


async def probed(studio: FakeStudio, times: int) -> None:
    """Wait until the gateway has begun so many more health checks."""
    before = len(studio.log.entries("request", path="/ws/health"))
    await until(lambda: len(studio.log.entries("request", path="/ws/health")) >= before + times)


def unhealthy_at(gateway: Target, url: str) -> list[float]:
    """Return when the gateway has logged that a Studio is unhealthy, in seconds since 1970."""
    return [
        record["timestamp"]
        for record in gateway.logs()
        if (record["event"], record.get("backend"), record.get("state"))
        == ("backend_health", url, "unhealthy")
    ]


@pytest.mark.memmie(studios=1, env=QUICK)
async def test_the_clients_of_a_frozen_studio_are_told(
    memmie_start_gateway: StartGateway,
    memmie_studios: list[FakeStudio],
    memmie_token: MintToken,
    studio_process: StudioProcess,
    dial: Dial,
    closed: Closed,
    metric: Metric,
) -> None:
    """80 clients, within 2 s after the Studio is marked; they are served by the other one at once."""
    (other,) = memmie_studios
    gateway = await memmie_start_gateway({"STUDIO_WS_URLS": f"{studio_process.ws_url},{other.ws_url}"})
    user = user_of(studio_process.ws_url, memmie_studios)
    token = memmie_token(user)
    clients = await asyncio.gather(*(dial(gateway.ws_url, token) for _ in range(CLIENTS)))
    assert not other.connections

    studio_process.process.send_signal(signal.SIGSTOP)
    await until(lambda: bool(unhealthy_at(gateway, studio_process.ws_url)))
    marked = time.monotonic()
    assert [await closed(client) for client in clients] == [UNHEALTHY] * CLIENTS
    assert time.monotonic() - marked < 2
    line = await gateway.wait_for_log(lambda record: record["event"] == "closed")
    assert (line["cause"], line["by"], line["code"]) == ("studio_unhealthy", "studio", 1012)
    await heartbeat(await dial(gateway.ws_url, token))
    assert await metric(gateway, "gateway_evictions_total", evidence="unhealthy", mode="act") == CLIENTS


@pytest.mark.memmie(env=QUICK)
async def test_a_studio_whose_health_check_alone_fails_keeps_its_idle_sessions(
    memmie_gateway: Target,
    memmie_studios: list[FakeStudio],
    memmie_connect: Connect,
    metric: Metric,
) -> None:
    studio, other = memmie_studios
    user = user_of(studio.ws_url, [other])
    clients = await asyncio.gather(*(memmie_connect(user) for _ in range(CLIENTS)))
    studio.script("error", route="/ws/health", status=500)
    await until(lambda: bool(unhealthy_at(memmie_gateway, studio.ws_url)))
    await probed(studio, 20)  # which takes four times as long as the silence that would be needed
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="unhealthy") == 0
    assert await metric(memmie_gateway, "gateway_evictions_waiting", evidence="unhealthy") == 0
    await asyncio.gather(*(heartbeat(client) for client in clients))


@pytest.mark.memmie(env={**QUICK, "UNHEALTHY_SESSIONS": "keep"})
async def test_keep_tells_nobody(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_connect: Connect, metric: Metric
) -> None:
    studio, other = memmie_studios
    user = user_of(studio.ws_url, [other])
    clients = [await memmie_connect(user) for _ in range(3)]
    freeze(studio)
    await until(lambda: bool(unhealthy_at(memmie_gateway, studio.ws_url)))
    await probed(studio, 3)
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="unhealthy") == 0
    assert all(client.close_code is None for client in clients)
    abort(studio)


@pytest.mark.memmie(env={**QUICK, "HEALTH_INTERVAL_SECONDS": 30, "DIAL_TIMEOUT_SECONDS": 0.5})
async def test_without_a_healthy_studio_nobody_is_told(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_connect: Connect, metric: Metric
) -> None:
    """Both do not answer, as if the gateway's network were down. The health of one was seen long before."""
    studio, other = memmie_studios
    user = user_of(studio.ws_url, [other])
    clients = [await memmie_connect(user) for _ in range(3)]
    freeze(studio)
    freeze(other)
    with pytest.raises(InvalidStatus):
        await memmie_connect(user, open_timeout=10)  # the first failure that the gateway notices
    for each in memmie_studios:
        await until(lambda url=each.ws_url: bool(unhealthy_at(memmie_gateway, url)))  # type: ignore[misc]
    await probed(studio, 3)
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="unhealthy") == 0
    assert all(client.close_code is None for client in clients)
    abort(studio)
    abort(other)


def abort(studio: FakeStudio) -> None:
    """Let the clients of a frozen Studio go, so that the test's end need not wait for them."""
    for connection in studio.connections:
        connection.abort()
