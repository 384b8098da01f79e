"""Real clients, and what they connect to; the programs in which the clients run start once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from tests.real_clients.clients import Client
from tests.real_clients.crowd import Programs, StartClients
from tests.real_clients.hosts import node_host, page_host
from tests.real_clients.stack import Stack
from tests.real_clients.streaming_studio import StreamingStudio

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def programs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Programs]:
    """Node.js, and a page in Chromium."""
    async with node_host() as node, page_host(tmp_path_factory.mktemp("profile")) as (browser, page, origin):
        yield Programs(node, browser, page, origin)


@pytest_asyncio.fixture(loop_scope="package")
async def stack(programs: Programs) -> AsyncIterator[Stack]:
    """Auth and a Studio; gateways are stopped after the test."""
    async with FakeAuth() as auth, StreamingStudio() as studio:
        stack = Stack(auth, studio, programs.origin)
        yield stack
        await stack.stop()


@pytest_asyncio.fixture(loop_scope="package")
async def start(programs: Programs, stack: Stack) -> AsyncIterator[StartClients]:
    """`clients = await start(gateway, {name: token})`; they end before the gateways do."""
    del stack
    async with AsyncExitStack() as ending:

        async def start(gateway: Gateway, tokens: Mapping[str, str]) -> dict[str, Client]:
            clients = {}
            for name, token in tokens.items():
                clients[name] = await programs.start(name, gateway.url, token)
                ending.push_async_callback(clients[name].end)
            return clients

        yield start
