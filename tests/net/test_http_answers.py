"""Answers of services that are not what they seem: half of one, an invalid one, and bytes that are none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.net.certificate import client_side, make_certificate, server_side
from tests.net.pair import GatewayLog, StartGateway, nobody_is_left, until
from tests.net.scripted_http import HttpPeer, ScriptedHttp, head, request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway

DialHttp = Callable[[Gateway], Awaitable[HttpPeer]]


class StartBeforeTls(Protocol):
    """Starts a gateway before a Studio over TLS."""

    async def __call__(self, answer: bytes, *, says_goodbye: bool = True) -> Gateway: ...


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


async def test_requests_without_a_token_are_no_evidence_about_a_backend(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    """All of them counted as one user, who could make a fifth; and each answer forgot the failures of all others."""
    routes = "/api=studio:/api,/api/open=studio:/api/open:open"
    gateway = await start_gateway(HTTP_ROUTES=routes, HEALTH_CHECK="off", HEALTH_FALL="1")
    (backend,) = gateway.parts.pool.active

    async def asked(user_id: str, end: Callable[[HttpPeer], None]) -> None:
        client = await dial_http(gateway)
        target, token = ("/api/x", auth.mint(user_id)) if user_id else ("/api/open/x", "")
        client.write(request(target=target, token=token))
        end(await studio.request())
        await client.read_head()

    for number in range(4):
        await asked(f"u{number}", HttpPeer.reset)
    await asked("", HttpPeer.reset)
    assert backend.available, "four users are not enough, and nobody is no user"
    await asked("", lambda studio: studio.answer(b"", "Connection: close"))
    await asked("u4", HttpPeer.reset)
    assert not backend.available, "an answer to nobody is no evidence either"


async def test_live_answers_to_nobody_are_no_users(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    """From many addresses, they made the users whose sessions a backend broke a small share, so it was not ejected."""
    routes = "/api=studio:/api,/api/open=studio:/api/open:open"
    gateway = await start_gateway(HTTP_ROUTES=routes, HTTP_LIVE_SECONDS="0.01")
    for target, token in (("/api/x", auth.mint("u1")), ("/api/open/x", "")):
        client = await dial_http(gateway)
        client.write(request(target=target, token=token))
        (await studio.request()).write(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        await client.read_head()
    await until(lambda: len(gateway.parts.sessions) == 2)
    (backend,) = gateway.parts.pool.active
    assert gateway.parts.ejector._users_on(backend) == {"u1"}


# TLS.


@contextlib.contextmanager
def tls_studio(certificate: Path, answer: bytes, *, says_goodbye: bool = True) -> Iterator[int]:
    """Answer requests over TLS in another thread, whose session tickets come when they like; yield the port.

    Args:
        certificate: its certificate and key.
        answer: the answer to each request, after which the connection ends.
        says_goodbye: whether TLS ends with a closure alert.
    """

    started: Future[tuple[int, Callable[[], object]]] = Future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if not says_goodbye:
                sock = writer.get_extra_info("socket")
                with socket.fromfd(sock.fileno(), sock.family, sock.type) as below:
                    below.shutdown(socket.SHUT_WR)
                await reader.read()
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


@pytest.fixture
async def start_before_tls(
    start_gateway: StartGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StartBeforeTls]:
    """`gateway = await start_before_tls(answer)`: a gateway that trusts a Studio with this answer to all requests."""
    certificate = make_certificate(tmp_path)
    with contextlib.ExitStack() as studios:

        async def start(answer: bytes, *, says_goodbye: bool = True) -> Gateway:
            port = studios.enter_context(tls_studio(certificate, answer, says_goodbye=says_goodbye))
            gateway = await start_gateway(STUDIO_WS_URLS=f"wss://127.0.0.1:{port}/ws", HEALTH_CHECK="off")
            assert gateway.parts.proxy is not None
            upstream = gateway.parts.proxy.upstream
            await upstream.stop()
            monkeypatch.setattr(upstream, "_tls", client_side(certificate))
            await upstream.start()
            return gateway

        yield start


async def test_session_tickets_of_a_studio_over_tls_are_no_answer(
    start_before_tls: StartBeforeTls, dial_http: DialHttp, auth: FakeAuth
) -> None:
    """A few of a hundred requests got 502, because tickets came between the handshake and the request."""
    gateway = await start_before_tls(
        head("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close") + b"ok"
    )
    for number in range(40):
        clients = [await dial_http(gateway) for _ in range(3)]
        for client in clients:
            client.write(request(token=auth.mint(f"u{number}")))
        for client in clients:
            assert (await client.read_head()).status == 200
            client.leave()


@pytest.mark.parametrize("says_goodbye", [True, False])
@pytest.mark.parametrize("size", [4, 1 << 20])
async def test_an_answer_over_tls_without_a_length_ends_with_a_closure_alert(
    start_before_tls: StartBeforeTls,
    dial_http: DialHttp,
    auth: FakeAuth,
    size: int,
    *,
    says_goodbye: bool,
) -> None:
    """RFC 9112 §9.8; without the alert, anybody on the way could cut an answer so that it looked complete."""
    gateway = await start_before_tls(head("HTTP/1.1 200 OK") + b"x" * size, says_goodbye=says_goodbye)
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    await client.read_head()
    assert (await client.read_rest()).endswith(b"0\r\n\r\n") is says_goodbye
