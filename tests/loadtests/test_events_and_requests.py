"""The load of `socketio` and `http` notices every wrong answer: no number is made of a broken run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import pytest
from tests.loadtests.scripts import forked
from websockets.asyncio.server import ServerConnection, serve

pytest.importorskip("picows", reason="the load group is not installed")

from loadtests.analysis.measurements import MEASUREMENTS
from loadtests.traffic.results import Exchange, Http, SocketIo, Span
from loadtests.traffic.service import Service

SIZE: Final = 100
EVENT: Final = re.compile(r'42(\d*)\["(ask|tell)",(.*)\]', re.DOTALL)

Answers = Callable[[str, str, str, int], Iterator[str]]
"""Takes the number of the acknowledgement, the event, its data, and how many events came before; returns the answers."""


async def measured(url: str, measurement: str, **options: float) -> tuple[int, dict[str, Any]]:
    pids: dict[str, list[int]] = {"gateway_pids": [], "backend_pids": [], "auth_pids": []}
    job = {
        "measurement": measurement,
        "target": {"url": url, "headers": [{}, {}], "direct_url": url, **pids},
        "options": {"seconds": 0.1, **options},
    }
    code, out, err = await forked(
        "traffic/load.py", given=json.dumps(job), modules=["loadtests.traffic.load"]
    )
    assert out, err
    return code, json.loads(out)


@contextlib.asynccontextmanager
async def server_of(handler: Callable[[ServerConnection], Awaitable[None]], path: str) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}{path}"


def faithful(number: str, event: str, data: str, _: int) -> Iterator[str]:
    yield f"43{number}[{data}]" if number else f'42["{event}",{data}]'


def like_a_gateway(number: str, event: str, data: str, before: int) -> Iterator[str]:
    if number:
        yield f'43{number}[{{"id":"x.{number}","type":"{event}","data":{data}}}]'
    else:
        yield from faithful(number, event, data, before)


def of_another(number: str, _: str, data: str, __: int) -> Iterator[str]:
    yield f"43{int(number) + 1}[{data}]"


def changed(number: str, _: str, data: str, __: int) -> Iterator[str]:
    yield f"43{number}[{data.replace('m', 'n')}]"


def changed_event(number: str, event: str, data: str, before: int) -> Iterator[str]:
    yield from faithful(number, event, data if number else data.replace("m", "n"), before)


def doubled(number: str, event: str, data: str, before: int) -> Iterator[str]:
    for _ in range(1 + (before == 2)):
        yield from faithful(number, event, data, before)


def lost(number: str, event: str, data: str, before: int) -> Iterator[str]:
    if before != 2 or '"from":1' in data:
        yield from faithful(number, event, data, before)


def socketio_server(answers: Answers) -> Callable[[ServerConnection], Awaitable[None]]:
    async def handle(connection: ServerConnection) -> None:
        await connection.send('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')
        assert await connection.recv() == "40"
        await connection.send('40{"sid":"t"}')
        await connection.send("2")
        before = 0
        async for message in connection:
            if message == "3":
                continue
            assert isinstance(message, str)
            found = EVENT.fullmatch(message)
            assert found is not None, message
            number, event, data = found.groups()
            for answer in answers(number, event, data, before):
                await connection.send(answer)
            before += 1

    return handle


@pytest.mark.parametrize("answers", [faithful, like_a_gateway])
@pytest.mark.parametrize("at_once", [1, 2])
async def test_events_that_are_answered_are_counted(answers: Answers, at_once: int) -> None:
    async with server_of(socketio_server(answers), "/socket.io/?EIO=4&transport=websocket") as url:
        code, answer = await measured(url, "socketio", size=SIZE, at_once=at_once)
    assert code == 0, answer
    assert all(exchange["count"] > 2 for exchange in answer["result"].values())


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (of_another, "what came back for message 1 is not its echo"),
        (changed, "what came back for message 1 is not its echo"),
        (changed_event, "is not its echo"),
        (doubled, "is not its echo"),
        (lost, "messages lost: 1,"),
    ],
)
async def test_an_event_with_a_wrong_answer_is_a_problem(answers: Answers, words: str) -> None:
    async with server_of(socketio_server(answers), "/socket.io/?EIO=4&transport=websocket") as url:
        code, answer = await measured(url, "socketio", size=SIZE, at_once=2, patience=0.5)
    assert code == 1
    assert words in answer["problem"]


async def test_who_is_refused_is_a_problem() -> None:
    async def refuse(connection: ServerConnection) -> None:
        await connection.send('0{"sid":"s"}')
        await connection.recv()
        await connection.send('44{"message":"no token"}')
        await connection.wait_closed()

    async with server_of(refuse, "/socket.io/?EIO=4&transport=websocket") as url:
        code, answer = await measured(url, "socketio", size=SIZE, at_once=2)
    assert code == 1
    assert "what came back for message 1 is not its echo" in answer["problem"]


async def test_plain_clients_send_what_a_backend_gets() -> None:
    got: list[dict[str, Any]] = []

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            got.append(json.loads(message))
            assert len(json.dumps(got[-1]["data"], separators=(",", ":"))) == SIZE
            await connection.send(message)

    async with server_of(echo, "/ws") as url:
        code, answer = await measured(url, "socketio", size=SIZE, at_once=2)
    assert code == 0, answer
    assert {tuple(message) for message in got} == {("id", "type", "data"), ("type", "data")}


# HTTP.


@contextlib.asynccontextmanager
async def http_server(protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"


class Wrong(Service):
    """Gives a wrong answer to the third request of a connection."""

    def __init__(self, answer: bytes | None) -> None:
        super().__init__()
        self._answer = answer
        self._requests = 0

    def data_received(self, data: bytes) -> None:
        self._requests += data.startswith(b"GET")
        if self._requests != 3:
            super().data_received(data)
        elif self._answer is not None:
            self._transport.write(self._answer)
            self._transport.close()


async def test_requests_that_are_answered_are_counted() -> None:
    async with http_server(Service) as url:
        code, answer = await measured(url, "http")
    assert code == 0, answer
    assert all(exchange["count"] > 2 for exchange in answer["result"].values())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"HTTP/1.1 429 Too Many Requests\r\n\r\nno", "request 3 is not its answer (HTTP/1.1 429 Too Many"),
        (b"HTTP/1.1 200 OK\r\n\r\nGET /api/0-2 0", "request 3 is not its answer (HTTP/1.1 200 OK)"),
        (b"HTTP/1.1 200 OK\r\n\r\nGET ", "was closed after request 3"),
        (b"", "was closed after request 3"),
        (None, "requests lost: 1, without an answer within 0.5 s"),
    ],
)
async def test_a_request_with_a_wrong_answer_is_a_problem(wrong: bytes | None, words: str) -> None:
    protocols = iter([Service(), Wrong(wrong)])
    async with http_server(lambda: next(protocols)) as url:
        code, answer = await measured(url, "http", patience=0.5, seconds=0.3)
    assert code == 1
    assert words in answer["problem"]


def test_each_figure_of_events_and_of_requests_is_made_of_its_own_numbers() -> None:
    first, second = Exchange(Span(2.0, 0.4, 0.1, 0, 0.2), 1000), Exchange(Span(2.0, 0.6, 0, 0, 0), 3000)
    third = Exchange(Span(1.0, 0.3, 0, 0, 0), 1000)
    results = {"socketio": SocketIo(first, second), "http": Http(first, second, third)}
    found = {
        name: {figure.name: figure.value(result) for figure in MEASUREMENTS[name].figures}
        for name, result in results.items()
    }
    busy = {"gateway-busy": 20, "load-busy": 10, "backend-busy": 5}
    assert found["socketio"] == pytest.approx(
        {
            "cpu-per-acknowledged-event": 400,
            "cpu-per-answered-event": 200,
            "acknowledged-events-per-second": 500,
            **busy,
        }
    )
    assert found["http"] == pytest.approx(
        {"cpu-per-get": 400, "cpu-per-post": 200, "cpu-per-get-alone": 300, "gets-per-second": 500, **busy}
    )
