"""Studios that pass their health checks and break sessions: who is ejected, for how long, and who is not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from tests.clock import loop_clock, waiting_clock
from tests.net.pair import GatewayLog, StartGateway, until
from websockets.asyncio.client import ClientConnection

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway import Gateway
from memmie_gateway.net.backends.backend import Backend
from memmie_harness.client import connect, heartbeat

pytestmark = pytest.mark.one_loop

SETTINGS = {
    "HEALTH_TIMEOUT_SECONDS": "0.5",
    "HEALTH_RECOVERY_SECONDS": "0.05",
    "HEALTH_FALL": "2",
    "LB_STRATEGY": "round_robin",
}


@pytest.fixture(autouse=True)
async def unhurried() -> AsyncIterator[None]:
    """On a busy machine, a slow health check would count as failed, and a long turn of the loop as a pause."""
    with waiting_clock():
        yield


@pytest.fixture
async def studios() -> AsyncIterator[list[FakeStudio]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(FakeStudio(port=0)) for _ in range(2)]


class Users:
    """The users of one gateway."""

    def __init__(self, gateway: Gateway, auth: FakeAuth) -> None:
        self.gateway = gateway
        self._auth = auth

    async def connect(self, user: str) -> ClientConnection:
        return await connect(self.gateway.url.replace("http", "ws") + "/ws", self._auth.mint(user))

    async def see(self, broken: int, studio: FakeStudio) -> None:
        """Connect new users, until so many had their connections broken by this Studio; the others leave."""
        studio.script("drop", route="/ws")
        for number in range(2 * broken):
            connection = await self.connect(f"v{number}")
            if any(live.user_id == f"v{number}" for live in self._others_of(studio)):
                await connection.close()
            else:
                await connection.wait_closed()

    def _others_of(self, studio: FakeStudio) -> list[Any]:
        return [live for other in self.studios if other is not studio for live in other.connections]

    studios: list[FakeStudio]


@pytest.fixture
async def users(start_gateway: StartGateway, auth: FakeAuth, studios: list[FakeStudio]) -> Users:
    urls = ",".join(studio.ws_url for studio in studios)
    users = Users(await start_gateway(STUDIO_WS_URLS=urls, **SETTINGS), auth)
    users.studios = studios
    return users


def backend_of(gateway: Gateway, studio: FakeStudio) -> Backend:
    (backend,) = (each for each in gateway.parts.pool if each.url == studio.ws_url)
    return backend


def is_down(backend: Backend) -> bool:
    return not backend.available


def is_well(backend: Backend) -> bool:
    return backend.healthy and not backend.outlier.waiting


def states(log: GatewayLog) -> list[str]:
    return [line["state"] for line in log.lines("backend_ejected")]


async def test_an_ejected_studio_keeps_its_sessions_and_is_taken_back(
    users: Users, studios: list[FakeStudio], log: GatewayLog
) -> None:
    sick, well = studios
    backend = backend_of(users.gateway, sick)
    live = [await users.connect(f"u{number}") for number in range(4)]
    follower = sick.connections[-1].user_id
    await users.see(8, sick)
    await until(lambda: backend.ejected)
    sick.reset()
    for connection in live:
        await heartbeat(connection)
    await users.connect(follower)
    assert sum(each.user_id == follower for each in sick.connections) == 2, "it follows its live session"
    before = len(sick.connections)
    new = [await users.connect(f"n{number}") for number in range(6)]
    assert len(sick.connections) == before
    with loop_clock() as clock:
        clock.put_forward(31)
        await until(lambda: not backend.ejected)
        assert backend.returned >= clock.time() - 2
    new += [await users.connect(f"m{number}") for number in range(4)]
    assert len(sick.connections) > before
    assert states(log) == ["ejected", "returned"]
    assert not backend_of(users.gateway, well).ejected


async def test_a_restart_is_no_outlier(users: Users, studios: list[FakeStudio], log: GatewayLog) -> None:
    for _ in range(2):
        connections = [await users.connect(f"u{number}") for number in range(24)]
        for studio in studios:
            backend = backend_of(users.gateway, studio)
            await studio.stop()
            await until(partial(is_down, backend))
            await studio.start()
            await until(partial(is_well, backend))
        for connection in connections:
            await connection.close()
    assert states(log) == []


async def test_a_restart_that_no_health_check_sees_is_no_outlier(
    users: Users, studios: list[FakeStudio], log: GatewayLog
) -> None:
    connections = [await users.connect(f"u{number}") for number in range(24)]
    for studio in studios:
        for live in list(studio.connections):
            live.abort()
    for connection in connections:
        await connection.wait_closed()
    back = [await users.connect(f"u{number}") for number in range(24)]
    backends = [backend_of(users.gateway, studio) for studio in studios]
    assert all(backend.outlier.waiting for backend in backends)
    with loop_clock() as clock:
        broken_by = clock.time()
        clock.put_forward(1)
        for backend in backends:
            backend.on_doubt()
        await until(lambda: all(backend.outlier._passed > broken_by for backend in backends))
        users.gateway.parts.ejector._look()
    for connection in back:
        await heartbeat(connection)
    assert states(log) == []


async def test_a_pause_of_the_gateway_is_no_outlier(
    users: Users, studios: list[FakeStudio], log: GatewayLog
) -> None:
    """As after SIGSTOP and SIGCONT: meanwhile, the Studios gave up all its connections."""
    backends = [backend_of(users.gateway, studio) for studio in studios]
    connections = [await users.connect(f"u{number}") for number in range(24)]
    with loop_clock() as clock:
        clock.put_forward(60)
        for live in [live for studio in studios for live in studio.connections]:
            live.abort()
        for connection in connections:
            await connection.wait_closed()
    assert not any(backend.outlier.waiting for backend in backends)
    assert states(log) == []


async def test_one_that_returns_from_being_unhealthy_is_taken_back(
    users: Users, studios: list[FakeStudio], log: GatewayLog
) -> None:
    sick = studios[0]
    backend = backend_of(users.gateway, sick)
    await users.see(8, sick)
    await until(lambda: backend.ejected)
    await sick.stop()
    backend.on_doubt()
    await until(lambda: not backend.available)
    await sick.start()
    await until(lambda: backend.healthy)
    assert not backend.ejected
    await until(lambda: states(log) == ["ejected", "returned"])


async def test_one_client_that_breaks_its_sessions_moves_nobody(
    users: Users, studios: list[FakeStudio], log: GatewayLog
) -> None:
    for studio in studios:
        studio.script("drop", route="/ws", user_id="bad")
    for _ in range(30):
        await (await users.connect("bad")).wait_closed()
    for studio in studios:
        backend = backend_of(users.gateway, studio)
        assert backend.healthy
    assert states(log) == []


async def test_half_of_the_studios_stay(users: Users, studios: list[FakeStudio], log: GatewayLog) -> None:
    """Where every Studio breaks every session, one of two must do."""
    for studio in studios:
        studio.script("drop", route="/ws")
    backends = [backend_of(users.gateway, studio) for studio in studios]
    for number in range(24):
        await (await users.connect(f"u{number}")).wait_closed()
    await until(lambda: any(backend.ejected for backend in backends))
    for number in range(24):
        await (await users.connect(f"w{number}")).wait_closed()
    with loop_clock() as clock:
        clock.put_forward(3)
        await until(lambda: len(log.lines("backend_ejected")) == 1)
    assert sum(backend.ejected for backend in backends) == 1
    assert all(backend.healthy for backend in backends)
