"""What the black-box tests share: other ways to connect, refusals, metrics, plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from tests import asking
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from memmie_harness.client import connect
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import Target


@dataclass(frozen=True)
class Refusal:
    """An answer to an upgrade that is not 101."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.body)
        return answer

    @property
    def code(self) -> str:
        return str(self.json["code"])


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Awaitable[ClientConnection]]]:
    """Opens a WebSocket at any URL, where `memmie_connect` decides the URL and the header itself."""
    connections: list[ClientConnection] = []

    async def dial(url: str, token: str | None = None, **options: Any) -> ClientConnection:
        connection = await connect(url, token, **options)
        connections.append(connection)
        return connection

    yield dial
    await asyncio.gather(*(connection.close() for connection in connections))


@pytest.fixture
async def raw_upgrade() -> AsyncIterator[
    Callable[[Target, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
]:
    """Sends a handshake over a bare TCP connection, for clients that then misbehave."""
    writers: list[asyncio.StreamWriter] = []

    async def send(target: Target, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = target.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writers.append(writer)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        return reader, writer

    yield send
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def refused(opening: Awaitable[ClientConnection]) -> Refusal:
    """Await an opening that must fail."""
    with pytest.raises(InvalidStatus) as caught:
        await opening
    response = caught.value.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return Refusal(response.status_code, headers, bytes(response.body or b""))


@pytest.fixture
def refusal(memmie_connect: Connect) -> Callable[..., Awaitable[Refusal]]:
    """`memmie_connect`, for a client that must be refused; returns the answer."""

    async def expect(*arguments: Any, **options: Any) -> Refusal:
        return await refused(memmie_connect(*arguments, **options))

    return expect


@pytest.fixture
def dial_refusal(dial: Callable[..., Awaitable[ClientConnection]]) -> Callable[..., Awaitable[Refusal]]:
    """`dial`, for a client that must be refused; returns the answer."""

    async def expect(*arguments: Any, **options: Any) -> Refusal:
        return await refused(dial(*arguments, **options))

    return expect


@pytest.fixture
def closed() -> Callable[[ClientConnection], Awaitable[tuple[int | None, str | None]]]:
    """Waits for a connection's end; returns code and reason as the client got them, 1006 for none."""

    async def wait(connection: ClientConnection) -> tuple[int | None, str | None]:
        async with asyncio.timeout(10):
            await connection.wait_closed()
        return connection.close_code, connection.close_reason

    return wait


@pytest.fixture
def metric(http: aiohttp.ClientSession) -> Callable[..., Awaitable[float]]:
    """Sums the samples of a name at a gateway's `/metrics` that have the given labels."""

    async def read(target: Target, name: str, **labels: str) -> float:
        return await asking.metric(http, target.url, name, **labels)

    return read


@pytest.fixture
def ready(http: aiohttp.ClientSession) -> Callable[[Target], Awaitable[tuple[int, dict[str, Any]]]]:
    """Asks a gateway's `/ready`; returns the status and the body."""
    return lambda target: asking.ready(http, target.url)


@pytest.fixture
def health_is(memmie_gateway: Target) -> Callable[..., Awaitable[None]]:
    """Waits until the gateway logs that a Studio is healthy, or is not (`state`)."""

    async def wait(url: str, state: str, *, count: int = 1) -> None:
        seen = 0

        def fits(record: dict[str, Any]) -> bool:
            nonlocal seen
            if (record["event"], record.get("backend"), record.get("state")) == (
                "backend_health",
                url,
                state,
            ):
                seen += 1
            return seen == count

        await memmie_gateway.wait_for_log(fits)

    return wait
