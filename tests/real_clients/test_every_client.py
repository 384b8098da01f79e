"""Every real client at one gateway: it connects, gets answers and events, and comes back where that helps."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.docs.programs import running
from tests.net.pair import nobody_is_left, until
from tests.real_clients.clients import Client
from tests.real_clients.crowd import (
    ALL,
    SOCKETIO,
    STREAMS,
    WEBSOCKETS,
    StartClients,
    comes_back_with_another,
    each,
    gets_an_answer,
    hear,
    is_connected,
)
from tests.real_clients.hosts import ROOT
from tests.real_clients.stack import Stack

from memmie_gateway.core.backends.balancer import rendezvous_score

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

TRANSPORT_ENDED = ("transport close", "transport error", "server disconnect")
"""Reasons for which clients reconnect; the last one is python-socketio's for the end of its long-polling."""


def gets_event(number: int) -> Callable[[str, Client], Awaitable[None]]:
    """The next event of every client is the one with this number."""

    async def gets(_: str, client: Client) -> None:
        words = await client.heard()
        assert words[:2] == ["event", "blob.created"], words
        assert words[2]["data"] == {"number": number}

    return gets


def comes_back(code: int, reason: str) -> Callable[[str, Client], Awaitable[None]]:
    """A client learns this close code, and connects again."""

    async def comes(name: str, client: Client) -> None:
        told = await hear(client, "connect")
        if name in SOCKETIO:
            assert told[0] == ["event", "close", {"code": code, "reason": reason}]
            assert told[1][0] == "disconnect"
            assert told[1][1] in TRANSPORT_ENDED, told
        elif name in WEBSOCKETS:
            assert told[0] == ["disconnect", code, reason]

    return comes


@asynccontextmanager
async def studio_process() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A Studio that can be killed, and its URL."""
    async with running(sys.executable, "-m", "tests.real_clients.streaming_studio", folder=ROOT) as process:
        assert process.stdout is not None
        line = await process.stdout.readline()
        yield process, json.loads(line)["url"]


async def test_a_conversation_over_socketio(stack: Stack, start: StartClients) -> None:
    gateway = await stack.gateway()
    clients = await start(gateway, {name: stack.auth.mint(name) for name in SOCKETIO})
    await each(clients, is_connected)

    async def talks(name: str, client: Client) -> None:
        await client.tell("ask", "create_blob", {"processor_id": "p", "schema_id": "s", "data": {"n": 1.5}})
        word, blob = await client.heard()
        assert (word, blob["type"], blob["data"]["data"]) == ("answer", "blob.created", {"n": 1.5})
        await client.tell("ask", "nonsense", "\u00e9")
        assert (await client.heard())[1]["type"] == "error"
        await client.tell("emit", "nonsense")
        words = await client.heard()
        assert words[:2] == ["event", "error"]
        assert words[2]["error"].startswith("type 'nonsense' is unknown")
        await client.tell("transport")
        assert await client.heard() == ["transport", "polling" if name.endswith("polling") else "websocket"]
        await client.tell("leave")
        assert (await client.heard())[0] == "disconnect"

    await each(clients, talks)
    await until(lambda: nobody_is_left(gateway))


async def test_they_come_back_after_a_dead_studio_and_after_a_drain(
    stack: Stack, start: StartClients
) -> None:
    """They get answers and events before and after, from the other Studio and from the next gateway on this address."""
    async with studio_process() as (dying, url):
        settings = {"STUDIO_WS_URLS": f"{url},{stack.studio.ws_url}"}
        gateway = await stack.gateway(**settings)
        users = (f"u{number}" for number in range(1000))
        user = next(u for u in users if rendezvous_score(u, url) > rendezvous_score(u, stack.studio.ws_url))
        token = stack.auth.mint(user)
        clients = await start(gateway, dict.fromkeys(ALL, token))
        await each(clients, is_connected)
        await each(clients, gets_an_answer)
        await stack.create_blob(gateway, token, 1)
        await each(clients, gets_event(1))
        assert not stack.studio.connections

        dying.kill()
        await each(clients, comes_back(1012, "Studio is gone, reconnect"))
        await each(clients, gets_an_answer)
        await stack.create_blob(gateway, token, 2)
        await each(clients, gets_event(2))

        port = str(gateway.port)
        await gateway.stop(0.3)
        after = await stack.gateway(PORT=port)
        await each(clients, comes_back(1001, "the gateway is shutting down"))
        await each(clients, gets_an_answer)
        await stack.create_blob(after, token, 3)
        await each(clients, gets_event(3))


async def test_a_token_that_expires_in_mid_session(stack: Stack, start: StartClients) -> None:
    """Nobody comes back with the old token, and everybody with a new one."""
    gateway = await stack.gateway()
    clients = await start(gateway, dict.fromkeys(ALL, stack.auth.mint(ttl_seconds=5)))
    await each(clients, is_connected)

    async def ends(name: str, client: Client) -> None:
        code, reason = 4401, "the token expired or was revoked"
        if name in STREAMS:
            if name != "curl":
                assert (await client.heard())[0] == "disconnect"
            assert await client.heard() in [["refused"], ["refused", 401, "token_invalid"]], (
                "it tries again by itself"
            )
        elif name in WEBSOCKETS:
            assert await client.heard() == ["disconnect", code, reason]
        else:
            assert await client.heard() == ["event", "close", {"code": code, "reason": reason}]
            assert await client.heard() in [
                ["disconnect", "io server disconnect"],
                ["disconnect", "server disconnect"],
            ]

    await each(clients, ends)
    await until(lambda: nobody_is_left(gateway))

    await each(clients, comes_back_with_another(stack.auth.mint()))
