"""A service with several addresses: one that swallows packets holds nobody up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.net.certificate import client_side, make_certificate, server_side

from memmie_gateway.core.backends.health import HealthTracker
from memmie_gateway.core.websocket.handshake import Offer
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.backends.dialer import BackendRefusedError, Dialer
from memmie_gateway.net.backends.health_check import HealthCheck, Kind
from memmie_gateway.net.http1 import happy_eyeballs
from memmie_gateway.net.http1.happy_eyeballs import HEAD_START, connect, first_to_answer
from memmie_gateway.net.http1.pool import Pool
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_harness.conformance.peers import PATIENCE

SWALLOWS, ANSWERS, REFUSES = "127.0.0.2", "127.0.0.1", "127.0.0.3"


@pytest.fixture
async def server() -> AsyncIterator[asyncio.Server]:
    """Says 404 to whatever is asked, on one of the addresses."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, ANSWERS, 0) as server:
        yield server


@pytest.fixture
def port(server: asyncio.Server) -> Iterator[int]:
    """The server's port, on which another address answers no SYN: its queue of connections is full."""
    number: int = server.sockets[0].getsockname()[1]
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        # Another test's server may have had this number here: its connections are remembered for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SWALLOWS, number))
        listener.listen(0)
        for _ in range(3):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 - its only argument
            client.connect_ex((SWALLOWS, number))
        yield number


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name has both addresses, the silent one first."""

    async def addresses(_: Resolver, __: ServiceUrl) -> list[str]:
        return [SWALLOWS, ANSWERS]

    monkeypatch.setattr(Resolver, "addresses", addresses)


def service(port: int) -> AuthUrl:
    return AuthUrl.parse(f"http://auth.test:{port}")


async def test_the_first_address_has_a_head_start_and_no_more(port: int) -> None:
    addresses = [SWALLOWS, REFUSES, ANSWERS]
    began = time.monotonic()
    sock = await first_to_answer(service(port), addresses)
    took = time.monotonic() - began
    with sock:
        assert sock.getpeername() == (ANSWERS, port)
    assert HEAD_START * 0.9 <= took < PATIENCE
    assert addresses == [ANSWERS, SWALLOWS, REFUSES]


async def test_an_address_that_answers_is_the_only_one_that_is_tried(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    sock_connect = loop.sock_connect
    tried: list[tuple[str, int]] = []

    async def note(sock: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address)
        await sock_connect(sock, address)

    monkeypatch.setattr(loop, "sock_connect", note)
    monkeypatch.setattr(
        happy_eyeballs, "HEAD_START", PATIENCE
    )  # a busy machine may need more than the usual one
    addresses = [ANSWERS, SWALLOWS]
    transport, _ = await connect(asyncio.Protocol, service(port), addresses, None)
    assert transport.get_extra_info("peername") == (ANSWERS, port)
    transport.abort()
    assert tried == [(ANSWERS, port)]
    assert addresses == [ANSWERS, SWALLOWS]


async def test_messages_are_not_held_back_to_be_joined(port: int) -> None:
    for addresses in ([ANSWERS], [REFUSES, ANSWERS]):
        transport, _ = await connect(asyncio.Protocol, service(port), addresses, None)
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        transport.abort()


async def test_who_leaves_while_the_other_attempts_are_called_off_has_left(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    sock_connect = loop.sock_connect
    socks: list[socket.socket] = []

    async def leave_when_called_off(sock: socket.socket, address: tuple[str, int]) -> None:
        socks.append(sock)
        try:
            await (loop.create_future() if address[0] == SWALLOWS else sock_connect(sock, address))
        except asyncio.CancelledError:
            leaving.cancel()
            raise

    monkeypatch.setattr(loop, "sock_connect", leave_when_called_off)
    leaving = asyncio.create_task(first_to_answer(service(port), [SWALLOWS, ANSWERS]))
    await asyncio.wait([leaving])
    left_open = [sock for sock in socks if sock.fileno() != -1]
    for sock in left_open:  # else the server would wait for the end of it
        sock.close()
    assert (len(socks), left_open) == (2, [])
    assert leaving.cancelled()


@pytest.mark.parametrize("error", [RuntimeError("its file is used by a transport"), ValueError("no address")])
async def test_whatever_an_attempt_fails_with_the_service_cannot_be_connected_to(
    port: int, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", fail)
    with pytest.raises(OSError, match="no address could be tried"):
        await connect(asyncio.Protocol, service(port), [REFUSES, ANSWERS], None)


@pytest.mark.parametrize("addresses", [[REFUSES], [REFUSES, "127.0.0.4"]])
async def test_what_all_addresses_failed_with_is_told(port: int, addresses: list[str]) -> None:
    with pytest.raises(OSError, match=r"refused|Connect call failed") as caught:
        await connect(asyncio.Protocol, service(port), addresses, None)
    assert caught.value.errno == errno.ECONNREFUSED


async def test_a_certificate_is_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)  # for the address
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), ANSWERS, 0, ssl=server_side(certificate)
    )
    async with server:
        where = AuthUrl.parse(f"https://auth.test:{server.sockets[0].getsockname()[1]}")
        for addresses in ([ANSWERS], [ANSWERS, REFUSES]):
            with pytest.raises(ssl.SSLCertVerificationError, match=r"Hostname mismatch.*'auth.test'"):
                await connect(asyncio.Protocol, where, addresses, client_side(certificate))


@pytest.mark.usefixtures("names")
async def test_a_studio_is_dialled_at_the_address_that_answers(port: int) -> None:
    studio = Backend(BackendUrl.parse(f"ws://studio.test:{port}/ws"), HealthTracker(rise=1, fall=1))
    with pytest.raises(BackendRefusedError):
        await Dialer(Resolver()).dial(studio, b"GET / HTTP/1.1\r\n\r\n", Offer(b""), PATIENCE)


@pytest.mark.usefixtures("names")
async def test_auth_is_asked_at_the_address_that_answers(port: int) -> None:
    pool = Pool(service(port), Resolver(), timeout=PATIENCE)
    try:
        response = await pool.request(b"GET / HTTP/1.1\r\n\r\n")
        assert (response.status, response.body) == (404, b"")
    finally:
        await pool.close()


@pytest.mark.usefixtures("names")
async def test_a_studio_is_probed_at_the_address_that_answers(port: int) -> None:
    with pytest.raises(Exception, match="rejected WebSocket connection: HTTP 404"):
        await HealthCheck(Kind.WS, "", PATIENCE).probe(
            BackendUrl.parse(f"ws://studio.test:{port}/ws"), Resolver()
        )
