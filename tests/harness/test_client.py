from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from memmie_harness.client import HeartbeatError, connect, heartbeat


@contextlib.asynccontextmanager
async def client_of(
    answers: Callable[[str], list[object]], token: str | None = None
) -> AsyncIterator[ClientConnection]:
    """A client of a server that sends these messages for each that it gets, given the message's id."""

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            for answer in answers(json.loads(message)["id"]):
                await connection.send(json.dumps(answer))

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with await connect(f"ws://127.0.0.1:{port}/ws", token) as connection:
            yield connection


async def test_measures_the_round_trip_of_its_own_heartbeat() -> None:
    def answers(identifier: str) -> list[object]:
        return [{"type": "connected"}, {"id": "other", "type": "error"}, {"id": identifier, "type": "ack"}]

    async with client_of(answers) as connection:
        assert 0 < await heartbeat(connection) < 5


async def test_another_answer_is_an_error() -> None:
    async with client_of(
        lambda identifier: [{"id": identifier, "type": "error", "error": "no"}]
    ) as connection:
        with pytest.raises(HeartbeatError, match=r"got no ack; the answer is .*'error': 'no'"):
            await heartbeat(connection)


async def test_no_answer_is_an_error() -> None:
    async with client_of(lambda _: []) as connection:
        with pytest.raises(HeartbeatError, match=r"a heartbeat got no answer within 0\.05 s"):
            await heartbeat(connection, within=0.05)


async def test_sends_the_token_in_the_header_and_nowhere_else() -> None:
    async with client_of(lambda _: [], token="secret") as connection:
        assert connection.request is not None
        assert connection.request.headers["Authorization"] == "Bearer secret"
        assert "secret" not in connection.request.path

    async with client_of(lambda _: [], token=None) as connection:
        assert connection.request is not None
        assert "Authorization" not in connection.request.headers


async def test_uses_no_proxy_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    async with client_of(lambda identifier: [{"id": identifier, "type": "ack"}]) as connection:
        await heartbeat(connection)
