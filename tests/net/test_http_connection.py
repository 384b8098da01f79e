"""One connection: a request and its response, an upgrade, and everything that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from tests.net.pair import until

from memmie_gateway.core.http.response import Response
from memmie_gateway.net.http1.connection import AS_EXPECTED, MAX_EARLY, HttpConnection
from memmie_gateway.net.http1.response_reader import HttpError
from memmie_harness.conformance.peers import PATIENCE

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UPGRADE = b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CLOSED = "the service closed the connection without a complete answer"


class Service:
    """The other end of one connection.

    Attributes:
        connection: the end that is tested.
        ended: how often it told that it can carry no more requests.
    """

    def __init__(self) -> None:
        self.connection: HttpConnection
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self.ended = 0

    def note_end(self, connection: HttpConnection) -> None:
        """Count an end."""
        assert connection is self.connection
        self.ended += 1

    async def asked(self) -> None:
        """Wait for a request."""
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.readexactly(len(REQUEST)) == REQUEST

    async def gone(self) -> None:
        """Wait until the connection was closed."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(OSError):
                assert await self.reader.read() == b""

    async def answered(self, data: bytes, *, upgrade: bool = False, expected: bytes = b"") -> Response:
        """Answer a request with these bytes; return what was read of them."""
        waiting = asyncio.create_task(self.connection.request(REQUEST, upgrade=upgrade, expected=expected))
        await self.asked()
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE):
            return await waiting

    def reset(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service.reader, service.writer = reader, writer
        accepted.set()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        _, service.connection = await loop.create_connection(
            lambda: HttpConnection(service.note_end), "127.0.0.1", port
        )
        await accepted.wait()
        yield service
        service.connection.transport.abort()
        service.writer.transport.abort()


async def test_one_request_after_the_other(service: Service) -> None:
    for _ in range(2):
        response = await service.answered(OK)
        assert (response.status, response.body) == (200, b"ok")
        assert (service.connection.reusable, service.connection.received) == (True, len(OK))
    assert not service.ended


async def test_a_request_that_waits_can_not_be_followed_by_another(service: Service) -> None:
    await service.answered(OK)
    waiting = asyncio.create_task(service.connection.request(REQUEST))
    await service.asked()
    assert (service.connection.reusable, service.connection.received) == (False, 0)
    service.connection.close()
    with pytest.raises(HttpError, match=r"^the gateway dropped the connection$"):
        await waiting


async def test_a_body_that_ends_with_the_connection(service: Service) -> None:
    waiting = asyncio.create_task(service.connection.request(REQUEST))
    await service.asked()
    service.writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
    service.writer.write_eof()
    assert (await waiting).body == b"abc"
    assert not service.connection.reusable
    await service.gone()
    assert service.ended


@pytest.mark.parametrize(
    ("how", "words"),
    [("close", f"^{CLOSED}$"), ("reset", "^the connection broke: ")],
)
@pytest.mark.parametrize(
    ("upgrade", "after"),
    [
        (False, b""),
        (False, b"HTTP/1.1 20"),
        (False, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"),
        (True, b""),
        (True, b"HTTP/1.1 101 Swi"),
    ],
)
async def test_it_ends_in_mid_response(
    service: Service, how: str, words: str, after: bytes, *, upgrade: bool
) -> None:
    waiting = asyncio.create_task(service.connection.request(REQUEST, upgrade=upgrade))
    await service.asked()
    service.writer.write(after)
    await until(lambda: service.connection.received == len(after))
    if how == "close":
        service.writer.close()
    else:
        service.reset()
    with pytest.raises(HttpError, match=words):
        await waiting
    assert service.connection.received == len(after)
    assert not service.connection.reusable
    await until(lambda: bool(service.ended))


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_refused_upgrade_that_is_cut_short_is_passed_on(service: Service, how: str) -> None:
    data = b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nab"
    waiting = asyncio.create_task(service.connection.request(REQUEST, upgrade=True))
    await service.asked()
    service.writer.write(data)
    await until(lambda: service.connection.received == len(data))
    if how == "close":
        service.writer.close()
    else:
        service.reset()
    response = await waiting
    assert (response.status, response.body) == (403, b"ab")


async def test_what_was_not_asked_for_is_not_the_next_response(service: Service) -> None:
    await service.answered(OK)
    service.writer.write(OK)
    await service.gone()
    assert service.ended
    with pytest.raises(HttpError, match=r"^the service sent data without a request$"):
        await service.connection.request(REQUEST)


async def test_what_is_sent_before_the_request_is_not_its_response(service: Service) -> None:
    service.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await service.gone()
    with pytest.raises(HttpError, match=r"^the service sent data without a request$"):
        await service.connection.request(REQUEST)


async def test_a_request_on_a_connection_that_is_gone(service: Service) -> None:
    service.reset()
    await until(lambda: bool(service.ended))
    with pytest.raises(HttpError, match=r"^the connection broke: "):
        await service.connection.request(REQUEST)
    assert service.connection.received == 0


async def test_a_bad_response_ends_the_connection(service: Service) -> None:
    with pytest.raises(HttpError, match=r"^the answer is not HTTP: "):
        await service.answered(b"garbage\r\n\r\n")
    await service.gone()
    assert service.ended


# An upgrade.


async def test_what_comes_behind_an_upgrade_is_for_the_next_owner(service: Service) -> None:
    connection = service.connection
    response = await service.answered(UPGRADE + b"early", upgrade=True)
    assert (response.status, connection.reusable) == (101, False)
    received = connection.received
    service.writer.write(b" late")
    await until(lambda: connection._early == b"early late")
    assert connection.take(asyncio.Protocol()) == b"early late"
    assert connection.take(asyncio.Protocol()) == b""
    assert connection.received == received  # of the response


async def test_the_next_owner_is_waited_for_when_much_has_come(service: Service) -> None:
    await service.answered(UPGRADE, upgrade=True)
    service.writer.write(b"x" * 8 * MAX_EARLY)
    await until(lambda: not service.connection.transport.is_reading())
    assert MAX_EARLY < len(service.connection.take(asyncio.Protocol())) < 8 * MAX_EARLY


async def test_an_upgrade_as_expected_is_not_parsed(service: Service) -> None:
    connection = service.connection
    assert await service.answered(UPGRADE, upgrade=True, expected=UPGRADE) is AS_EXPECTED
    assert not connection.reusable
    service.writer.write(b"late")
    await until(lambda: connection._early == b"late")
    assert connection.take(asyncio.Protocol()) == b"late"


@pytest.mark.parametrize(
    ("data", "early"), [(UPGRADE + b"early", b"early"), (UPGRADE.replace(b"Yes", b"yes"), b"")]
)
async def test_any_other_upgrade_is_parsed(service: Service, data: bytes, early: bytes) -> None:
    response = await service.answered(data, upgrade=True, expected=UPGRADE)
    assert response is not AS_EXPECTED
    assert (response.status, response.headers.one(b"upgrade")) == (101, "websocket")
    assert service.connection.head == (b"" if early else data)
    assert service.connection.take(asyncio.Protocol()) == early


async def test_only_the_first_piece_may_be_as_expected(service: Service) -> None:
    """The same bytes are the rest of a field here."""
    connection = service.connection
    waiting = asyncio.create_task(connection.request(REQUEST, upgrade=True, expected=UPGRADE))
    await service.asked()
    service.writer.write(b"HTTP/1.1 101 Yes\r\nX-Other: ")
    await until(lambda: connection.received > 0)
    service.writer.write(UPGRADE)
    assert (await waiting).headers.one(b"x-other") == "HTTP/1.1 101 Yes"
    assert connection.head == b"", "the last piece is not the whole head"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_upgraded_connection_that_ends_leaves_what_was_received(service: Service, how: str) -> None:
    await service.answered(UPGRADE + b"early", upgrade=True)
    if how == "close":
        service.writer.close()
    else:
        service.reset()
    await until(service.connection.transport.is_closing)
    assert service.connection.take(asyncio.Protocol()) == b"early"


async def test_it_shows_what_ended_it(service: Service) -> None:
    assert repr(service.connection) == "<HttpConnection open reusable=False>"
    service.connection.close("too slow")
    assert repr(service.connection) == "<HttpConnection too slow reusable=False>"
