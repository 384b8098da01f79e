"""A gateway in this process, on both event loops where they may differ, between raw bytes on either side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import redirect_stdout
from functools import partial
from typing import Final

import pytest
import uvloop
from tests.net.answering_auth import AnsweringAuth
from tests.net.pair import Dial, Enter, GatewayLog, Join, Pair, StartGateway, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.wire import PATIENCE, Peer, upgrade_request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.backends.health import Health

SETTINGS: Final = {
    "HOST": "127.0.0.1",
    "PORT": "0",
    "LOG_FORMAT": "json",
    "HEALTH_FALL": "1000",  # a Studio that is made to fail stays in use
    "CLOSE_TIMEOUT_SECONDS": "60",  # longer than a test's patience: no test passes only because of it
    "METRICS_CACHE_SECONDS": "0",
    "CONNECT_RATE_PER_IP": "0",
    "MESSAGE_RATE_PER_USER": "0",
    "MAX_CONNECTIONS_PER_IP": "0",
    "MAX_CONNECTIONS_PER_USER": "0",
}


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 - a hook's arguments go by name
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test here on uvloop, which `serve` uses where it is there, and on asyncio's own loop.

    Tests of decisions, which take no more of a loop than its timers, run on asyncio's own alone (mark `one_loop`).
    """
    both = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"asyncio": both["asyncio"]} if item.get_closest_marker("one_loop") else both


@pytest.fixture
async def auth() -> AsyncIterator[FakeAuth]:
    async with FakeAuth() as auth:
        yield auth


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedStudio]:
    async with ScriptedStudio() as studio:
        yield studio


@pytest.fixture
def log() -> Iterator[GatewayLog]:
    """What the gateways have logged; shown where a test fails."""
    log = GatewayLog()
    yield log
    print(log.getvalue())  # noqa: T201 - pytest's own way to show it


@pytest.fixture
async def start_gateway(
    auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog
) -> AsyncIterator[StartGateway]:
    """`gateway = await start_gateway(MAX_CONNECTIONS="1")`; it is stopped after the test."""
    started: list[Gateway] = []

    async def start(**settings: str) -> Gateway:
        required = {"AUTH_URL": auth.url, "STUDIO_WS_URLS": studio.url}
        with redirect_stdout(log):  # it takes standard output as it is when it is made
            gateway = Gateway.from_env({**SETTINGS, **required, **settings})
        log.gateways.append(gateway)
        await gateway.start()
        started.append(gateway)
        # The first evidence decides alone: a dial that a test makes fail must not come before the first probe.
        await until(lambda: all(s.tracker.state is not Health.UNKNOWN for s in gateway.parts.pool))
        return gateway

    yield start
    for gateway in started:
        for session in list(gateway.parts.sessions):
            session.abort()
        async with asyncio.timeout(PATIENCE):
            await gateway.stop()


@pytest.fixture
async def dial(start_gateway: StartGateway) -> AsyncIterator[Dial]:
    """`client = await dial(gateway)`: a raw client that has said nothing yet."""
    del start_gateway  # only so that clients leave before their gateway stops
    clients: list[Peer] = []

    async def connect(gateway: Gateway, *, limit: int = 1 << 16, receive_buffer: int = 0) -> Peer:
        clients.append(await Peer.connect(gateway.port, limit=limit, receive_buffer=receive_buffer))
        return clients[-1]

    yield connect
    for client in clients:
        client.writer.transport.abort()


@pytest.fixture
def join(auth: FakeAuth, studio: ScriptedStudio, start_gateway: StartGateway, dial: Dial) -> Join:
    """`pair = await join(PING_INTERVAL_SECONDS="0.1")`; then `pair.client` and `pair.studio` talk."""

    async def joined(
        gateway: Gateway | None = None,
        *,
        user: str = "u1",
        token: str = "",
        extra: tuple[str, ...] = (),
        answer: tuple[str, ...] = (),
        limit: int = 1 << 16,
        receive_buffer: int = 0,
        **settings: str,
    ) -> Pair:
        gateway = gateway or await start_gateway(**settings)
        client = await dial(gateway, limit=limit, receive_buffer=receive_buffer)
        client.write(upgrade_request(token or auth.mint(user), extra=extra))
        studio_end = await studio.arrival()
        accept(studio_end, *answer)
        assert (await client.read_head()).status == 101
        return Pair(gateway, client, studio_end)

    return joined


@pytest.fixture
def enter(join: Join) -> Enter:
    """`pair = await enter(gateway, token)`."""
    return lambda gateway, token: join(gateway, token=token)


@pytest.fixture
async def answers() -> AsyncIterator[AnsweringAuth]:
    """An Auth that says about each token what a test has noted for it."""
    async with AnsweringAuth() as auth:
        yield auth


@pytest.fixture
async def unharmed(start_gateway: StartGateway, join: Join) -> AsyncIterator[StartGateway]:
    """Start a gateway for one client at a time; after the test, the next client is served as if nothing had been."""
    started: list[Gateway] = []

    async def start(**settings: str) -> Gateway:
        started.append(await start_gateway(**{"MAX_CONNECTIONS_PER_IP": "1", **settings}))
        return started[-1]

    yield start
    for gateway in started:
        await until(partial(nobody_is_left, gateway))
        await (await join(gateway, user="next")).exchange()
