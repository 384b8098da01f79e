"""Answers of services that are not what they seem: half of one, an invalid one, and bytes that are none."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tests.net.certificate import client_side, make_certificate, server_side
from tests.net.pair import GatewayLog, StartGateway, nobody_is_left, until
from tests.net.scripted_http import HttpPeer, ScriptedHttp, head, request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway

DialHttp = Callable[[Gateway], Awaitable[HttpPeer]]


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp() as studio:
        yield studio


@pytest.fixture
async def dial_http(start_gateway: StartGateway) -> AsyncIterator[DialHttp]:
    """`client = await dial_http(gateway)`: a raw client of HTTP that has said nothing yet."""
    del start_gateway  # only so that clients leave before their gateway stops
    clients: list[HttpPeer] = []

    async def dial(gateway: Gateway) -> HttpPeer:
        clients.append(await HttpPeer.connect(gateway.port))
        return clients[-1]

    yield dial
    for client in clients:
        client.writer.transport.abort()


@pytest.mark.parametrize("fields", [(), ("Content-Type: text/event-stream",)])
async def test_half_an_answer_of_unknown_length_does_not_look_complete(
    start_gateway: StartGateway,
    dial_http: DialHttp,
    studio: ScriptedHttp,
    auth: FakeAuth,
    fields: tuple[str, ...],
) -> None:
    """A reset was taken for its end."""
    client = await dial_http(await start_gateway())
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", *fields) + b"half")
    await client.read_until(b"half\r\n")
    asked.reset()
    assert await client.read_rest() == b"", "without the last chunk"


@pytest.mark.parametrize("bad", [b"zz\r\n", b"-1\r\n", b"4\r\nlong than that\r\n"])
async def test_a_chunk_of_an_answer_that_is_none_ends_it(
    start_gateway: StartGateway,
    dial_http: DialHttp,
    studio: ScriptedHttp,
    auth: FakeAuth,
    log: GatewayLog,
    bad: bytes,
) -> None:
    """The rest was awaited, in a stream of events for ever."""
    gateway = await start_gateway()
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    asked.write(
        head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Content-Type: text/event-stream")
        + b"4\r\nhalf\r\n"
    )
    await client.read_until(b"half\r\n")
    asked.write(bad)
    assert b"0\r\n\r\n" not in await client.read_rest()
    assert (await log.line("request"))["cause"] == "studio_broke_off"
    await until(lambda: nobody_is_left(gateway))


# TLS.


@contextlib.contextmanager
def tls_studio(certificate: Path) -> Iterator[int]:
    """Answer requests over TLS in another thread, whose session tickets come when they like; yield the port."""

    started: Future[tuple[int, Callable[[], object]]] = Future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close") + b"ok")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        serving.discard(task)

    async def run() -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side(certificate))
        port = server.sockets[0].getsockname()[1]
        started.set_result((port, lambda: loop.call_soon_threadsafe(stopping.set)))
        await stopping.wait()
        server.close()
        await asyncio.gather(*serving)

    serving: set[asyncio.Task[Any]] = set()
    thread = threading.Thread(target=asyncio.run, args=[run()])
    thread.start()
    port, stop = started.result()
    yield port
    stop()
    thread.join()


async def test_session_tickets_of_a_studio_over_tls_are_no_answer(
    start_gateway: StartGateway,
    dial_http: DialHttp,
    auth: FakeAuth,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A few of a hundred requests got 502, because tickets came between the handshake and the request."""
    certificate = make_certificate(tmp_path)
    context = client_side(certificate)
    with tls_studio(certificate) as port:
        gateway = await start_gateway(STUDIO_WS_URLS=f"wss://127.0.0.1:{port}/ws", HEALTH_CHECK="off")
        assert gateway.parts.proxy is not None
        upstream = gateway.parts.proxy.upstream
        await upstream.stop()
        monkeypatch.setattr(upstream, "_tls", context)
        await upstream.start()
        for number in range(40):
            clients = [await dial_http(gateway) for _ in range(3)]
            for client in clients:
                client.write(request(token=auth.mint(f"u{number}")))
            for client in clients:
                assert (await client.read_head()).status == 200
                client.leave()
