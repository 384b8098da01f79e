"""One forwarded request inside the gateway: its id, its places, when it becomes live, and what it says about Studio."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.net.pair import StartGateway, nobody_is_left, until
from tests.net.scripted_http import HttpPeer, ScriptedHttp, head, request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dialer import DialError
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.http_proxy import HttpProxy
from memmie_gateway.net.proxy.asking import BrokenError
from memmie_gateway.net.proxy.exchange import Exchange
from memmie_gateway.net.proxy.routed import RoutedExchange
from memmie_harness.conformance.peers import upgrade_request

pytestmark = pytest.mark.one_loop

Send = Callable[[Gateway, bytes], Awaitable[HttpPeer]]
Ask = Callable[[Gateway, bytes], Awaitable[tuple[HttpPeer, HttpPeer]]]

EVENTS = head("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
EVENT = b"8\r\ndata: \n\n\r\n"


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp() as studio:
        yield studio


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


def proxy_of(gateway: Gateway) -> HttpProxy:
    assert isinstance(gateway.parts.proxy, HttpProxy)
    return gateway.parts.proxy


def exchange_of(gateway: Gateway) -> Exchange:
    """Return the only exchange."""
    (exchange,) = proxy_of(gateway)._under_way
    return exchange


@pytest.fixture
async def send(start_gateway: StartGateway) -> AsyncIterator[Send]:
    """`client = await send(gateway, data)`."""
    del start_gateway  # only so that clients leave before their gateway stops
    clients: list[HttpPeer] = []

    async def sent(gateway: Gateway, data: bytes) -> HttpPeer:
        clients.append(await HttpPeer.connect(gateway.port))
        clients[-1].write(data)
        return clients[-1]

    yield sent
    for client in clients:
        client.writer.transport.abort()


@pytest.fixture
def ask(send: Send, studio: ScriptedHttp) -> Ask:
    """`client, service = await ask(gateway, data)`: Studio has got the request."""

    async def asked(gateway: Gateway, data: bytes) -> tuple[HttpPeer, HttpPeer]:
        return await send(gateway, data), await studio.request()

    return asked


# The id, and the home of nobody.


@pytest.mark.parametrize(("trusted", "kept"), [("127.0.0.0/8", True), ("", False)])
async def test_the_id_of_a_request_is_that_of_a_trusted_proxy_only(
    start_gateway: StartGateway, ask: Ask, auth: FakeAuth, trusted: str, *, kept: bool
) -> None:
    gateway = await start_gateway(TRUSTED_PROXIES=trusted)
    _, service = await ask(gateway, request(token=auth.mint(), extra=["X-Request-ID: own-id"]))
    assert (service.head.get("x-request-id") == "own-id") is kept


async def test_without_a_user_each_address_has_a_backend_of_its_own(
    start_gateway: StartGateway, ask: Ask
) -> None:
    gateway = await start_gateway(HTTP_ROUTES="/open=studio:/api:open", TRUSTED_PROXIES="127.0.0.0/8")
    dispatcher = proxy_of(gateway).dispatcher
    clients = []
    for number in (1, 2, 2):
        extra = [f"X-Forwarded-For: 192.0.2.{number}"]
        clients.append((await ask(gateway, request(target="/open/x", extra=extra)))[0])
    await until(lambda: repr(dispatcher) == "<Dispatcher under_way=3>")
    assert [dispatcher.bound_to(f"\x00192.0.2.{number}") is not None for number in (1, 2, 3)] == [
        True,
        True,
        False,
    ]
    for client in clients:
        client.leave()
    await until(lambda: repr(dispatcher) == "<Dispatcher under_way=0>")


# The client's side.


async def test_a_body_that_is_too_large_is_not_asked_for(
    start_gateway: StartGateway, send: Send, auth: FakeAuth
) -> None:
    gateway = await start_gateway(HTTP_MAX_BODY_BYTES="1000")
    expecting = ["Content-Length: 1001", "Expect: 100-continue"]
    client = await send(gateway, request("POST", token=auth.mint(), extra=expecting))
    assert (await client.read_head()).status == 413
    words = "the request body is larger than 1000 bytes"  # the names of settings are for the log
    assert json.loads(await client.read_rest())["error"] == words


async def test_a_client_that_sends_on_behind_its_request_is_dropped(
    gateway: Gateway, ask: Ask, auth: FakeAuth
) -> None:
    client, service = await ask(gateway, request(token=auth.mint()))
    client.write(bytes(200_000))
    assert await service.read_rest() == b""
    await until(lambda: nobody_is_left(gateway))


async def test_a_client_that_is_still_sending_reads_an_early_answer_to_its_end(
    start_gateway: StartGateway, ask: Ask, auth: FakeAuth
) -> None:
    """Its connection is not reset behind it."""
    gateway = await start_gateway(HTTP_MAX_BODY_BYTES="0")
    sending = request("POST", token=auth.mint(), extra=[f"Content-Length: {8 << 20}"])
    client, service = await ask(gateway, sending + bytes(4 << 20))
    service.answer(b"no, thanks", status="413 Too Large")
    assert (await client.read_rest()).endswith(b"no, thanks")


# Live answers.


async def test_an_answer_that_comes_late_is_live_at_once(
    start_gateway: StartGateway, ask: Ask, auth: FakeAuth
) -> None:
    gateway = await start_gateway(HTTP_LIVE_SECONDS="1800")
    _, service = await ask(gateway, request(token=auth.mint()))
    exchange_of(gateway).started -= 3600
    service.write(EVENTS)
    await until(lambda: len(gateway.parts.sessions) == 1)


async def test_the_kernel_looks_after_the_client_of_a_live_answer(
    start_gateway: StartGateway, ask: Ask, auth: FakeAuth
) -> None:
    """Nothing may be sent to it for long, so nothing else shows that it is gone."""
    gateway = await start_gateway(HTTP_LIVE_SECONDS="0.01")
    _, service = await ask(gateway, request(token=auth.mint()))
    service.write(EVENTS)
    await until(lambda: len(gateway.parts.sessions) == 1)
    transport = exchange_of(gateway).client.transport  # type: ignore[union-attr]
    assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_an_answer_that_ends_while_it_becomes_live_keeps_no_place(
    start_gateway: StartGateway, ask: Ask, auth: FakeAuth
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_USER="1")
    client, service = await ask(gateway, request(token=auth.mint("u1")))
    service.write(EVENTS)
    await client.read_head()
    exchange = exchange_of(gateway)
    assert isinstance(exchange, RoutedExchange)
    exchange._become_live()
    exchange.cut(Cause.DRAINING)
    assert await client.read_rest() == b""
    client, _ = await ask(gateway, upgrade_request(auth.mint("u1")))


async def test_an_answer_that_becomes_live_in_a_drain_is_cut(
    start_gateway: StartGateway, ask: Ask, auth: FakeAuth
) -> None:
    gateway = await start_gateway(HTTP_LIVE_SECONDS="0.2")
    client, service = await ask(gateway, request(token=auth.mint()))
    service.write(EVENTS)
    await client.read_head()
    stopping = asyncio.create_task(gateway.stop(3600))
    assert await client.read_rest() == b""
    await stopping


async def test_only_a_silent_answer_of_a_dead_studio_is_cut_and_only_if_another_one_is_healthy(
    start_gateway: StartGateway, ask: Ask, auth: FakeAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start_gateway(HTTP_LIVE_SECONDS="0.01", HEALTH_TIMEOUT_SECONDS="60")
    client, service = await ask(gateway, request(token=auth.mint()))
    service.write(EVENTS)
    await client.read_head()
    await until(lambda: len(gateway.parts.sessions) == 1)
    proxy, exchange = proxy_of(gateway), exchange_of(gateway)
    monkeypatch.setattr(Backend, "dead", True)
    for silent, healthy, cut in ((0, True, False), (100, False, False), (100, True, True)):
        exchange._watch.deadlines.moved = proxy.clock.time() - silent
        monkeypatch.setattr(proxy, "_any_healthy", lambda healthy=healthy: healthy)
        proxy._look()
        assert (exchange.cause is Cause.BACKEND_UNHEALTHY) is cut
    assert await client.read_rest() == b""


# Studio.


async def test_a_connection_that_is_open_does_not_show_that_studio_works(
    gateway: Gateway, ask: Ask, auth: FakeAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[int] = []
    monkeypatch.setattr(Backend, "worked", lambda _: worked.append(1))
    client, service = await ask(gateway, request(token=auth.mint()))
    assert worked == []
    service.answer(b"1")
    assert (await client.read_rest()).endswith(b"1")
    assert len(worked) == 1


async def test_bytes_that_come_between_connecting_and_sending_are_no_answer(gateway: Gateway) -> None:
    begun: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: begun.put_nowait(writer), "127.0.0.1", 0)
    async with server:
        where = AuthUrl.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        link = await proxy_of(gateway).upstream.connect(where, "GET", "/api/x", [("Host", "x")], None, 5)
        writer = await begun.get()
        writer.write(head("HTTP/1.1 200 OK", "Content-Length: 0"))
        await writer.drain()
        with pytest.raises(BrokenError, match="without a request"):
            await link.answer()
        writer.transport.abort()


async def test_a_studio_that_accepts_no_connection_is_given_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its name is looked up again for the next connection."""
    doubted: list[ServiceUrl] = []
    monkeypatch.setattr(Resolver, "doubt", lambda _, where: doubted.append(where))
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())  # so that the kernel answers nobody else
        where = AuthUrl.parse(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(DialError):
            await proxy_of(gateway).upstream.connect(where, "GET", "/", [("Host", "x")], None, 0.1)
        assert doubted == [where]


async def test_a_lack_of_descriptors_does_not_count_against_studio(
    gateway: Gateway, ask: Ask, send: Send, auth: FakeAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    (backend,) = gateway.parts.pool.active

    async def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    client, service = await ask(gateway, request(token=(token := auth.mint())))
    service.answer(b"", "Connection: close")
    await client.read_rest()  # so that Auth is not asked any more
    client = await send(gateway, b"")
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", fail)
    client.write(request(token=token))
    answer = await client.read_head()
    assert (answer.status, json.loads(await client.read(int(answer.get("content-length"))))["code"]) == (
        503,
        "overloaded",
    )
    assert backend.failures == 0
