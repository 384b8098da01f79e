"""Every real client is refused in each way: what it learns, and that it gets in as soon as it may."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from tests.net.pair import until
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
)
from tests.real_clients.stack import Stack

from memmie_gateway import Gateway
from memmie_harness.client import connect

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


def ws_url(gateway: Gateway) -> str:
    return f"ws{gateway.url.removeprefix('http')}/ws"


async def learns(name: str, client: Client, status: int, code: str) -> None:
    """A client learns why it is refused; a client of an EventSource learns only that it is."""
    words = await client.heard()
    if name in SOCKETIO:
        retry = {"retry_after": 1} if status == 429 else {}
        assert words[0] == "connect_error"
        assert words[2] == {"code": code, "status": status, **retry}
    elif name == "node websocket":
        assert words == ["error", f"Unexpected server response: {status}"]
    elif name == "page websocket":
        assert words == ["connect"]
        assert await client.heard() == ["disconnect", 4000 + status, code]
    else:
        assert words == (["refused"] if name == "page events" else ["refused", status, code])


async def learns_a_status(name: str, client: Client, status: int, code: str) -> None:
    """A client is refused before the origin is checked, so a page learns only that it is, and tries again by itself."""
    words: list[Any] = await client.heard()
    if name.startswith("python"):
        assert words[0] == "connect_error"
        assert (
            words[1]["code"] == code if not name.endswith("websocket") else words[1] == "Connection error"
        ), words
    elif name in SOCKETIO:
        assert words == [
            "connect_error",
            f"{'websocket' if name.endswith('websocket') else 'xhr poll'} error",
            None,
        ]
    elif name == "page websocket":
        assert words == ["disconnect", 1006, ""]
    elif name == "page stream":
        assert words == ["disconnect", "TypeError"], "already its preflight is refused"
    elif name == "node websocket":
        assert words == ["error", f"Unexpected server response: {status}"]
    else:
        assert words == (["refused"] if name == "page events" else ["refused", status, code])


@pytest.mark.parametrize(("token", "code"), [("", "token_missing"), ("wrong", "token_invalid")])
async def test_without_a_valid_token(stack: Stack, start: StartClients, token: str, code: str) -> None:
    clients = await start(await stack.gateway(), dict.fromkeys(ALL, token))
    await each(clients, lambda name, client: learns(name, client, 401, code))
    await each(clients, comes_back_with_another(stack.auth.mint()))


async def test_the_limits_of_a_user(stack: Stack, start: StartClients) -> None:
    """Each client has a user of its own, with another connection or request that comes first."""
    gateway = await stack.gateway(
        MAX_CONNECTIONS_PER_USER="1", HTTP_RATE_PER_USER="0.001", HTTP_BURST_PER_USER="1"
    )
    tokens = {name: stack.auth.mint(name) for name in ALL}
    async with AsyncExitStack() as first:
        http = await first.enter_async_context(aiohttp.ClientSession())
        for name, token in tokens.items():
            if name in STREAMS:
                async with http.get(f"{gateway.url}/api/v1/books?token={token}") as answer:
                    assert answer.status == 200
            else:
                await first.enter_async_context(await connect(ws_url(gateway), token))
        clients = await start(gateway, tokens)
        await each(
            clients,
            lambda name, client: learns(
                name,
                client,
                429,
                "request_rate_exceeded" if name in STREAMS else "too_many_connections_of_user",
            ),
        )

    def has_left(name: str) -> bool:
        return all(live.info.identity.user_id != name for live in gateway.parts.sessions)

    async def gets_the_place(name: str, client: Client) -> None:
        if name in SOCKETIO:  # its library does not try again by itself after such a refusal
            await until(lambda: has_left(name))
            await client.tell("again", tokens[name])
        words = [""]
        while words[0] != "answer":  # a page with a WebSocket is also connected for a moment if it is refused
            words = await client.heard()
            if words[0] == "connect":
                await client.tell("ask", "heartbeat")

    await each({name: client for name, client in clients.items() if name not in STREAMS}, gets_the_place)


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        pytest.param(
            {"MAX_CONNECTIONS_PER_IP": "20", "HTTP_CONNECTIONS_PER_IP": "1", "HTTP_LIVE_SECONDS": "60"},
            ("too_many_connections_from_address", "too_many_connections_from_address"),
            id="places",
        ),
        pytest.param(
            {
                "CONNECT_RATE_PER_IP": "0.001", "CONNECT_BURST_PER_IP": "1", "HTTP_RATE_PER_IP": "0.001", "HTTP_BURST_PER_IP": "1",
            },
            ("connect_rate_exceeded", "request_rate_exceeded"),
            id="rates",
        ),
    ],
)  # fmt: skip
async def test_the_limits_of_an_address(
    stack: Stack, start: StartClients, settings: dict[str, str], codes: tuple[str, str]
) -> None:
    """They try again by themselves, until the next gateway on this address has room for all."""
    gateway, token = await stack.gateway(**settings), stack.auth.mint()
    async with AsyncExitStack() as first:
        for _ in range(int(settings.get("MAX_CONNECTIONS_PER_IP", "1"))):
            await first.enter_async_context(await connect(ws_url(gateway), token))
        http = await first.enter_async_context(aiohttp.ClientSession())
        url = f"{gateway.url}/api/v1/events?token={token}"
        assert (await first.enter_async_context(http.get(url))).status == 200
        clients = await start(gateway, dict.fromkeys(ALL, token))
        await each(
            clients,
            lambda name, client: learns_a_status(name, client, 429, codes[name in STREAMS]),
        )
        port = str(gateway.port)
        await gateway.stop()
    await stack.gateway(PORT=port)

    async def gets_in(name: str, client: Client) -> None:
        if name.startswith(
            ("python", "curl")
        ):  # the one tries once, and the other waits for as long as it is told
            await client.tell("again", token)
        await hear(client, "connect")
        await gets_an_answer(name, client)

    await each(clients, gets_in)


async def test_a_page_of_another_origin(stack: Stack, start: StartClients) -> None:
    gateway = await stack.gateway(ALLOWED_ORIGINS="https://app.example.com")
    pages = [name for name in ALL if name.startswith("page")]

    async def is_refused(name: str, client: Client) -> None:
        words = await client.heard()
        if name in SOCKETIO:
            assert words == [
                "connect_error",
                f"{'websocket' if name.endswith('websocket') else 'xhr poll'} error",
                None,
            ]
        elif name in WEBSOCKETS:
            assert words == ["connect"]
            assert await client.heard() == ["disconnect", 4403, "origin_not_allowed"]
        else:
            assert words == (["refused"] if name == "page events" else ["disconnect", "TypeError"])

    await each(await start(gateway, dict.fromkeys(pages, stack.auth.mint())), is_refused)
