"""`Gateway` as a library: importable, and two in one process do not know of each other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import pytest
from websockets.asyncio.client import ClientConnection

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway import Gateway, Settings
from memmie_harness.client import heartbeat
from memmie_harness.targets import InProcessTarget

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Dial = Callable[..., Awaitable[ClientConnection]]
Metric = Callable[..., Awaitable[float]]
Refused = Callable[..., Awaitable[object]]


class Stack:
    """An Auth, a Studio and a gateway of their own, in this process."""

    def __init__(self, **settings: object) -> None:
        self._settings = settings
        self.auth = FakeAuth()

    async def __aenter__(self) -> Self:
        await self.auth.start()
        self.studio = FakeStudio(auth_url=self.auth.url)
        await self.studio.start()
        settings = Settings(
            host="127.0.0.1",
            port=0,
            auth_url=self.auth.url,
            studio_ws_urls=(self.studio.ws_url,),
            log_level="error",
            **self._settings,
        )
        self.gateway = Gateway(settings)
        await self.gateway.start()
        self.url = self.gateway.url.replace("http", "ws") + "/ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.stop()
        await self.studio.stop()
        await self.auth.stop()


@pytest.fixture
async def stacks() -> AsyncIterator[tuple[Stack, Stack]]:
    async with Stack() as first, Stack(max_connections_per_user=1) as second:
        yield first, second


async def test_they_share_no_limits_no_verdicts_and_no_metrics(
    stacks: tuple[Stack, Stack], dial: Dial, dial_refusal: Callable[..., Awaitable[object]], metric: Metric
) -> None:
    first, second = stacks
    token = first.auth.mint()

    await heartbeat(await dial(first.url, token))
    await heartbeat(await dial(first.url, token))
    await heartbeat(await dial(second.url, token))
    await dial_refusal(second.url, token)  # its user has the one connection allowed here

    assert (len(first.gateway.parts.sessions), len(second.gateway.parts.sessions)) == (2, 1)
    for stack, connections, refusals in ((first, 2, 0), (second, 1, 1)):
        assert len(stack.auth.log.entries("request", path="/api/v1/auth/validate")) == 1
        target = InProcessTarget({})
        target._service = stack.gateway
        assert await metric(target, "gateway_websocket_connections") == connections
        assert await metric(target, "gateway_refusals_total") == refusals


async def test_one_stops_and_the_other_goes_on(
    stacks: tuple[Stack, Stack], dial: Dial, closed: Closed
) -> None:
    first, second = stacks
    ending, staying = await dial(first.url, first.auth.mint()), await dial(second.url, second.auth.mint())

    await first.gateway.stop()
    assert (await closed(ending))[0] == 1001
    with pytest.raises(ConnectionRefusedError):
        await dial(first.url, first.auth.mint())
    await heartbeat(staying)


async def test_a_gateway_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with Stack():
        pass

    assert asyncio.all_tasks() == before


async def test_stop_is_harmless_twice_and_before_start() -> None:
    gateway = Gateway(Settings(port=0))
    await gateway.stop()
    async with Stack() as stack:
        await stack.gateway.stop()


async def test_a_taken_port_is_an_error_that_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway = Gateway(Settings(host="127.0.0.1", port=taken.getsockname()[1]))
        with pytest.raises(OSError, match="address already in use"):
            await gateway.start()

    assert asyncio.all_tasks() == before
    await gateway.stop()
