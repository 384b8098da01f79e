"""A Studio that speaks Socket.IO itself, and clients as they are in use, with each transport (spec §1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
import socketio
from tests.net.pair import GatewayLog, StartGateway, later, nobody_is_left, until
from tests.net.socketio import shut_down
from tests.net.socketio_studio import SocketIoStudio

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.socketio.passed_session import PassedSession
from memmie_harness.conformance.peers import PATIENCE

POLLING, WEBSOCKET, DEFAULT = ["polling"], ["websocket"], ["polling", "websocket"]

Connect = Callable[..., Awaitable[socketio.AsyncSimpleClient]]
"""Connects python-socketio's client."""


@pytest.fixture
async def studio() -> AsyncIterator[SocketIoStudio]:
    async with SocketIoStudio() as studio:
        yield studio


@pytest.fixture
async def other() -> AsyncIterator[SocketIoStudio]:
    """Another Studio; it is set up before the clients, which would come again after its end."""
    async with SocketIoStudio() as studio:
        yield studio


@pytest.fixture
def start(start_gateway: StartGateway, studio: SocketIoStudio) -> StartGateway:
    """Start a gateway before the Studio that speaks Socket.IO."""

    async def started(**settings: str) -> Gateway:
        ours = {"SOCKETIO": "passthrough", "HEALTH_CHECK": "tcp", "STUDIO_WS_URLS": studio.url}
        return await start_gateway(**{**ours, **settings})

    return started


@pytest.fixture
async def connect(auth: FakeAuth) -> AsyncIterator[Connect]:
    """`client = await connect(gateway, "u1", POLLING)`."""
    async with AsyncExitStack() as stack:

        async def connected(
            gateway: Gateway, user: str = "u1", transports: list[str] = DEFAULT
        ) -> socketio.AsyncSimpleClient:
            # The library forgets a session of its own when it connects again, and closes one that several clients share.
            sessions: list[aiohttp.ClientSession] = []

            def new_session() -> aiohttp.ClientSession:
                sessions.append(aiohttp.ClientSession())
                return sessions[-1]

            client = socketio.AsyncSimpleClient(
                http_session=new_session, reconnection_delay=0.02, reconnection_delay_max=0.05
            )
            stack.push_async_callback(end, client, sessions)
            headers = {"Authorization": f"Bearer {auth.mint(user)}"}
            await client.connect(gateway.url, headers=headers, transports=transports)
            return client

        yield connected


async def end(client: socketio.AsyncSimpleClient, sessions: list[aiohttp.ClientSession]) -> None:
    if client.client is not None:
        await shut_down(client.client)
    for session in sessions:
        await session.close()


def polled(gateway: Gateway) -> list[PassedSession]:
    """Return the connections that poll."""
    assert gateway.parts.passthrough is not None
    return list(gateway.parts.passthrough._by_sid.values())


@pytest.mark.parametrize("transports", [POLLING, DEFAULT, WEBSOCKET], ids=["polling", "upgrade", "websocket"])
async def test_a_conversation(
    start: StartGateway,
    connect: Connect,
    studio: SocketIoStudio,
    log: GatewayLog,
    transports: list[str],
) -> None:
    # One place and one connect, whatever the transport.
    gateway = await start(
        MAX_CONNECTIONS_PER_USER="1",
        MAX_CONNECTIONS_PER_IP="1",
        CONNECT_RATE_PER_IP="0.001",
        CONNECT_BURST_PER_IP="2",
    )
    for number in range(2):
        client = await connect(gateway, "u 1", transports)
        assert client.client.transport() == transports[-1]
        assert await client.call("echo", {"a": number}) == {"a": number}
        assert await client.receive(timeout=PATIENCE) == ["echoed", {"a": number}]
        assert await client.call("repeat", ("x", 200_000)) == "x" * 200_000  # in many parts
        await client.disconnect()  # at once there is a place again
        await asyncio.wait_for(studio.left.get(), PATIENCE)
    await until(lambda: nobody_is_left(gateway))
    assert studio.users == ["u%201"] * 2
    assert studio.queries[0]["user_id"] == "u 1"
    assert not any("Bearer" in str(request.headers) for request in studio.requests)
    assert not any("refused" in line["event"] for line in log.lines("refused"))
    closed = log.lines("closed")
    assert [(line["user_id"], line["by"], line["cause"]) for line in closed] == [
        ("u 1", "client", "client_closed")
    ] * 2
    assert closed[0]["protocol"] == ("websocket" if transports == WEBSOCKET else "socketio")
    assert closed[0]["bytes_from_client"] > 40
    assert closed[0]["bytes_from_studio"] > 200  # long-polling is compressed
    assert not log.lines("request")


async def test_every_request_of_a_user_reaches_one_studio(
    start: StartGateway, other: SocketIoStudio, connect: Connect, studio: SocketIoStudio
) -> None:
    gateway = await start(STUDIO_WS_URLS=f"{studio.url},{other.url}", LB_STRATEGY="round_robin")
    clients = [await connect(gateway, f"u{n}", POLLING) for n in range(4)]
    clients += [await connect(gateway, f"u{n}", each) for n, each in enumerate([POLLING, WEBSOCKET, DEFAULT])]
    for client in clients:
        assert await client.call("echo", "x") == "x"
    assert not set(studio.users) & set(other.users)
    assert (len(set(studio.users)), len(set(other.users))) == (2, 2)
    assert len(studio.users + other.users) == 7


async def test_metrics_count_them(start: StartGateway, connect: Connect, studio: SocketIoStudio) -> None:
    gateway = await start()
    await connect(gateway, "u1", POLLING)
    await connect(gateway, "u1", DEFAULT)
    text, _ = gateway.parts.listener.handlers.http._metrics.text([], 0.0)  # type: ignore[attr-defined]
    lines = text.decode().splitlines()
    assert f'gateway_websocket_connections{{backend="{studio.url}"}} 2.0' in lines
    assert any(
        line.startswith('gateway_http_requests_total{method="POST",route="/socket.io",status="200"}')
        for line in lines
    )
    assert not any(session.sid in text.decode() for session in polled(gateway))


@pytest.mark.one_loop
@pytest.mark.parametrize("cause", [Cause.MOVED, Cause.DRAINING, Cause.TOKEN_ENDED])
async def test_the_gateway_ends_it_and_the_client_comes_again(
    start: StartGateway, connect: Connect, log: GatewayLog, cause: Cause
) -> None:
    gateway = await start()
    client = await connect(gateway, transports=POLLING)
    (live,) = gateway.parts.sessions
    live.end(cause)
    assert not len(gateway.parts.sessions)
    assert (await log.line("closed"))["cause"] == cause.ending.code
    await until(lambda: len(gateway.parts.sessions) == 1)
    assert await client.call("echo", 1) == 1


@pytest.mark.one_loop
async def test_a_token_that_ends(start: StartGateway, connect: Connect, log: GatewayLog) -> None:
    gateway = await start()
    client = await connect(gateway, transports=POLLING)
    later(gateway, 7200)
    await until(lambda: bool(log.lines("closed")))
    line = log.lines("closed")[0]
    assert (line["by"], line["cause"], line["code"]) == ("auth", "token_ended", None)
    later(gateway, 0)
    await until(lambda: client.connected and len(gateway.parts.sessions) == 1)  # it has come again
