"""A fake Auth, a fake Studio that asks it, and clients for both."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio


@pytest.fixture
async def auth() -> AsyncIterator[FakeAuth]:
    async with FakeAuth() as auth:
        yield auth


@pytest.fixture
async def studio(auth: FakeAuth) -> AsyncIterator[FakeStudio]:
    async with FakeStudio(auth_url=auth.url) as studio:
        yield studio


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


class Client:
    """A WebSocket client that speaks Studio's JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.ws = connection

    async def send(self, **message: Any) -> None:
        await self.ws.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.ws.recv())
        return message

    async def ask(self, **message: Any) -> dict[str, Any]:
        await self.send(**message)
        return await self.receive()


@pytest.fixture
def open_client(studio: FakeStudio) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """`async with open_client("u1") as client`; further options are `connect()`'s of the websockets library."""

    @asynccontextmanager
    async def opened(
        user_id: str = "u1", *, at: FakeStudio = studio, path: str = "/ws", **options: Any
    ) -> AsyncIterator[Client]:
        address = f"{at.ws_url.removesuffix('/ws')}{path}?user_id={quote(user_id)}"
        async with connect(address, ping_interval=None, **{"compression": None, **options}) as connection:
            yield Client(connection)

    return opened
