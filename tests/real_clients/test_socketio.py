"""Clients as they are in use, with each transport: connect, emit, acknowledgements, events, reconnects and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from tests.net.pair import nobody_is_left, until
from tests.real_clients.clients import TRANSPORTS, Client, NodeClient, PythonClient, install

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway import Gateway
from memmie_gateway.core.backends.health import Health
from memmie_gateway.core.outcomes import Cause

NODE = Path(__file__).parents[2] / ".nox" / "socketio-client"

CLIENTS = [(library, transport) for library in ("node", "python") for transport in TRANSPORTS]

TRANSPORT_ENDED = ("transport close", "transport error", "server disconnect")
"""Reasons for which clients reconnect; the last one is python-socketio's for the end of its long-polling."""

Start = Callable[..., Awaitable[Client]]


@pytest.fixture
async def auth() -> AsyncIterator[FakeAuth]:
    async with FakeAuth() as auth:
        yield auth


@pytest.fixture
async def gateway(auth: FakeAuth) -> AsyncIterator[Gateway]:
    """A gateway in this process, with a fake Studio."""
    async with FakeStudio() as studio:
        with redirect_stdout(StringIO()):
            gateway = Gateway.from_env(
                {"HOST": "127.0.0.1", "PORT": "0", "AUTH_URL": auth.url, "STUDIO_WS_URLS": studio.ws_url}
                | {"CLOSE_TIMEOUT_SECONDS": "1", "LOG_FORMAT": "json"}
            )
        await gateway.start()
        await until(lambda: all(each.tracker.state is Health.HEALTHY for each in gateway.parts.pool))
        yield gateway
        await gateway.stop()


@pytest.fixture(params=CLIENTS, ids="-".join)
async def start(request: pytest.FixtureRequest, gateway: Gateway, auth: FakeAuth) -> AsyncIterator[Start]:
    """`client = await start("u1")`, of each library and with each transport; `token` sends another token."""
    library, transport = request.param
    async with AsyncExitStack() as stack:

        async def start(user: str = "u1", *, token: str | None = None) -> Client:
            token = auth.mint(user) if token is None else token
            client: Client
            if library == "node":
                client = await NodeClient.start(install(NODE), gateway.url, token, TRANSPORTS[transport])
            else:
                client = await PythonClient.start(gateway.url, token, TRANSPORTS[transport])
            stack.push_async_callback(client.end)
            return client

        yield start


def ending(gateway: Gateway, cause: Cause) -> None:
    for session in list(gateway.parts.sessions):
        session.end(cause)


def without(words: list[Any], *names: str) -> list[Any]:
    """Return what was heard, without some members of its last object."""
    return [*words[:-1], {name: value for name, value in words[-1].items() if name not in names}]


async def test_a_conversation(
    gateway: Gateway, start: Start, auth: FakeAuth, request: pytest.FixtureRequest
) -> None:
    client = await start()
    assert await client.heard() == ["connect"]
    await client.tell("ask", "heartbeat")
    assert without(await client.heard(), "id", "timestamp") == ["answer", {"type": "ack"}]
    await client.tell("ask", "create_blob", {"processor_id": "p", "schema_id": "s", "data": {"n": 1.5}})
    name, blob = await client.heard()
    assert (name, blob["type"], blob["data"]["data"]) == ("answer", "blob.created", {"n": 1.5})
    await client.tell("ask", "nonsense", "é")
    assert (await client.heard())[1]["type"] == "error"
    await client.tell("emit", "nonsense")
    words = await client.heard()
    assert words[:2] == ["event", "error"]
    assert words[2]["error"].startswith("type 'nonsense' is unknown")

    await client.tell("ask", "subscribe", {"types": ["blob.*"]})
    await client.heard()
    other = await PythonClient.start(gateway.url, auth.mint("u1"), ["websocket"])
    try:
        await other.tell("emit", "create_blob", {"processor_id": "p", "schema_id": "s", "data": {"n": 2}})
        words = await client.heard()
        assert words[:2] == ["event", "blob.created"]
        assert words[2]["data"] == {"n": 2}
    finally:
        await other.end()

    await client.tell("transport")
    transport = request.node.callspec.id.partition("-")[2]
    assert await client.heard() == ["transport", "polling" if transport == "polling" else "websocket"]
    await client.tell("leave")
    assert (await client.heard())[0] == "disconnect"
    await until(lambda: nobody_is_left(gateway))


async def test_it_comes_back_by_itself_if_that_helps(gateway: Gateway, start: Start) -> None:
    client = await start()
    assert await client.heard() == ["connect"]
    for cause in (Cause.DRAINING, Cause.BACKEND_GONE, Cause.MOVED):
        ending(gateway, cause)
        name, close, about = await client.heard()
        assert (name, close, about["code"]) == ("event", "close", cause.close_code)
        assert await client.heard() in [["disconnect", reason] for reason in TRANSPORT_ENDED]
        assert await client.heard() == ["connect"]
    await client.tell("ask", "heartbeat")
    assert (await client.heard())[1]["type"] == "ack"


async def test_it_does_not_come_back_without_another_token(gateway: Gateway, start: Start) -> None:
    client = await start()
    assert await client.heard() == ["connect"]
    ending(gateway, Cause.TOKEN_ENDED)
    assert await client.heard() == [
        "event",
        "close",
        {"code": 4401, "reason": "the token expired or was revoked"},
    ]
    assert await client.heard() in [
        ["disconnect", "io server disconnect"],
        ["disconnect", "server disconnect"],
    ]
    await until(lambda: nobody_is_left(gateway))


@pytest.mark.parametrize(("token", "code"), [("wrong", "token_invalid"), ("", "token_missing")])
async def test_a_refusal_says_why(gateway: Gateway, start: Start, token: str, code: str) -> None:
    client = await start(token=token)
    name, _, about = await client.heard()
    assert (name, about) == ("connect_error", {"code": code, "status": 401})
    await until(lambda: nobody_is_left(gateway))
