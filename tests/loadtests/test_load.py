"""The load notices everything that goes wrong between it and its echo: no number is made of a broken run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

pytest.importorskip("picows", reason="the load group is not installed")

ROOT = Path(__file__).parents[2]

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def backend(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"


async def load(url: str, **changes: Any) -> tuple[int | None, dict[str, Any]]:
    job = {
        "measurement": "round_trips",
        "target": {
            "url": url,
            "headers": [{}, {"X-Forgetful": "yes"}],
            "gateway_pids": [],
            "backend_pids": [],
        },
        "options": {"size": 16, "seconds": 0.2, "patience": 0.5},
    } | changes
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.traffic.load", cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    out, _ = await process.communicate(json.dumps(job).encode())
    return process.returncode, json.loads(out)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def swallow_all_but_the_first(connection: ServerConnection) -> None:
    await connection.send(await connection.recv())
    await connection.wait_closed()


async def swallow_one(connection: ServerConnection) -> None:
    assert connection.request is not None
    forgetful = "X-Forgetful" in connection.request.headers
    async for message in connection:
        if not forgetful:
            await connection.send(message)


async def change_the_third(connection: ServerConnection) -> None:
    number = 0
    async for message in connection:
        number += 1
        assert isinstance(message, bytes)
        await connection.send(message if number != 3 else message[:-1] + b"?")


async def repeat_the_third(connection: ServerConnection) -> None:
    number = 0
    async for message in connection:
        number += 1
        for _ in range(2 if number == 3 else 1):
            await connection.send(message)


async def close_after_three(connection: ServerConnection) -> None:
    for _ in range(3):
        await connection.send(await connection.recv())
    await connection.close(1012, "gone")


async def break_after_three(connection: ServerConnection) -> None:
    for _ in range(3):
        await connection.send(await connection.recv())
    connection.transport.abort()


async def test_a_faithful_echo_is_counted() -> None:
    async with backend(echo) as url:
        code, answer = await load(url)
    assert code == 0
    assert answer["result"]["count"] > 10
    assert 0 < answer["result"]["p50_seconds"] <= answer["result"]["p99_seconds"]


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (swallow_all_but_the_first, "no echo arrived in 0.2 s"),
        (swallow_one, "messages lost: 1,"),
        (change_the_third, "is not its echo"),
        (repeat_the_third, "is not its echo"),
        (close_after_three, "was closed with 1012 (gone)"),
        (break_after_three, "broke after message"),
    ],
)
async def test_a_broken_echo_is_a_problem_not_a_number(handler: Handler, words: str) -> None:
    async with backend(handler) as url:
        code, answer = await load(url)
    assert code == 1
    assert words in answer["problem"]


async def test_a_refused_handshake_names_the_connection_and_the_status() -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no token")

    async with backend(echo, process_request=refuse) as url:
        code, answer = await load(url)
    assert code == 1
    assert "connection 1 of 2 failed" in answer["problem"]
    assert "401" in answer["problem"]


@pytest.mark.parametrize("measurement", ["idle", "connects"])
async def test_connections_are_opened_and_closed(measurement: str) -> None:
    opened = 0

    async def count(connection: ServerConnection) -> None:
        nonlocal opened
        opened += 1
        await connection.wait_closed()

    async with backend(count) as url:
        code, answer = await load(url, measurement=measurement, options={})
    assert code == 0, answer
    assert opened == {"idle": 3, "connects": 2}[measurement]  # idle warms up with one


async def test_a_gateway_that_has_ended_is_told() -> None:
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    target = {"headers": [{}], "gateway_pids": [ended.pid], "backend_pids": []}
    async with backend(echo) as url:
        code, answer = await load(url, target={"url": url, **target})
    assert code == 1
    assert answer["problem"] == f"process {ended.pid} has ended while it was measured"
