"""`socket.io-client` with a Studio that speaks Socket.IO itself: numbered messages, its upgrade, and a reconnect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
import pytest_asyncio
from tests.net.pair import nobody_is_left, until
from tests.net.socketio_studio import SocketIoStudio
from tests.real_clients.crowd import Programs

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

NUMBERS = range(200)


@pytest_asyncio.fixture(loop_scope="package")
async def auth() -> AsyncIterator[FakeAuth]:
    async with FakeAuth() as auth:
        yield auth


@pytest_asyncio.fixture(loop_scope="package")
async def gateway(auth: FakeAuth) -> AsyncIterator[Gateway]:
    """A gateway in this process, before such a Studio."""
    async with SocketIoStudio() as studio:
        with redirect_stdout(StringIO()):
            gateway = Gateway.from_env(
                {"HOST": "127.0.0.1", "PORT": "0", "AUTH_URL": auth.url, "STUDIO_WS_URLS": studio.url}
                | {"SOCKETIO": "passthrough", "HEALTH_CHECK": "tcp", "MAX_CONNECTIONS_PER_USER": "1"}
                | {"MESSAGE_RATE_PER_USER": "0", "CLOSE_TIMEOUT_SECONDS": "1", "LOG_FORMAT": "json"}
            )
        await gateway.start()
        yield gateway
        await gateway.stop()


@pytest.mark.parametrize("transports", [None, ["polling"]], ids=["default", "polling"])
async def test_nothing_is_lost(
    gateway: Gateway, auth: FakeAuth, programs: Programs, transports: list[str] | None
) -> None:
    url = f"{gateway.url}?token={auth.mint('u1')}"
    client = await programs.node.start("socketio", url, "", transports)
    try:
        assert await client.heard() == ["connect"]
        for number in NUMBERS:  # some before the upgrade, some during it, some after it
            await client.tell("emit", "echo", number)
        assert [await client.heard() for _ in NUMBERS] == [["event", "echoed", number] for number in NUMBERS]

        name = "polling" if transports else "websocket"
        heard: list[Any] = []
        while heard != ["transport", name]:
            await client.tell("transport")
            heard = await client.heard()
        await client.tell("ask", "echo", "x")
        assert {tuple(await client.heard()) for _ in range(2)} == {("answer", "x"), ("event", "echoed", "x")}

        for live in list(gateway.parts.sessions):
            live.end(Cause.MOVED)
        assert await client.heard() in (["disconnect", "transport error"], ["disconnect", "transport close"])
        assert await client.heard() == ["connect"]
        await client.tell("leave")
        assert await client.heard() == ["disconnect", "io client disconnect"]
        await until(lambda: nobody_is_left(gateway))
    finally:
        await client.end()
