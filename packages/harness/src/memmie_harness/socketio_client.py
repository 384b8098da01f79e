"""Clients of Socket.IO for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import socketio

from memmie_harness.fixture_types import ConnectSocketIo, MintToken
from memmie_harness.targets import Target


@contextlib.asynccontextmanager
async def socketio_connector(gateway: Target, mint: MintToken) -> AsyncIterator[ConnectSocketIo]:
    """Return a function that connects clients of Socket.IO to `gateway`; all are closed in the end."""
    clients: list[Any] = []
    stack = contextlib.AsyncExitStack()

    async def connect_user(
        user_id: str | None = "u1",
        /,
        *,
        token: str | None = None,
        target: Target | None = None,
        **options: Any,
    ) -> Any:
        if token is None and user_id is not None:
            token = mint(user_id)
        # The library does not close a session of its own if the connection was refused or has ended.
        http = await stack.enter_async_context(aiohttp.ClientSession())
        client = socketio.AsyncSimpleClient(reconnection=False, http_session=http)
        auth = None if token is None else {"token": token}
        await client.connect((target or gateway).url, auth=auth, **options)
        clients.append(client)
        return client

    async with stack:
        yield connect_user
        await asyncio.gather(*(client.disconnect() for client in clients))
