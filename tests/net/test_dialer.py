"""Dialling a backend: which address of its name is used, and what is taken as an acceptance."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from memmie_gateway.core.backends.health import HealthTracker
from memmie_gateway.core.websocket.acceptance import Acceptance, KnownAnswer
from memmie_gateway.core.websocket.handshake import Offer, accept_for
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.backends.dialer import (
    BackendRefusedError,
    Dialer,
    DialError,
    DialRefusedError,
    DialUnansweredError,
)
from memmie_gateway.net.http1.connection import HttpConnection
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import ResponseReader
from memmie_harness.conformance.peers import PATIENCE

HERE, THERE = "127.0.0.1", "127.0.0.2"


class NameServer:
    """Says where a Studio is, and notes where it was dialled; no answer is a good one there."""

    def __init__(self) -> None:
        self.addresses = [HERE]
        self.lookups = 0
        self.dialled: list[str] = []
        self.port = 0
        self.silent = False

    @property
    def studio(self) -> Backend:
        where = BackendUrl.parse(f"ws://studio.test:{self.port}/ws")
        return Backend(where, HealthTracker(rise=1, fall=1))

    async def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        found = [host]  # an address: uvloop asks for what it means before it connects
        if host == "studio.test":
            self.lookups += 1
            found = self.addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    async def refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.append(writer.get_extra_info("sockname")[0])
        with contextlib.suppress(OSError):
            if self.silent:
                await reader.read()
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    names = NameServer()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    async with contextlib.AsyncExitStack() as servers:
        for address in (HERE, THERE):
            server = await asyncio.start_server(names.refuse, address, names.port)
            names.port = server.sockets[0].getsockname()[1]
            await servers.enter_async_context(server)
        yield names


async def dial(dialer: Dialer, studio: Backend) -> None:
    with pytest.raises(DialError):
        await dialer.dial(studio, b"", Offer(b""), PATIENCE)


async def test_a_name_is_looked_up_again_when_its_studio_has_failed(names: NameServer) -> None:
    """Nobody answers a request here, which is a failure each time."""
    dialer, studio = Dialer(Resolver()), names.studio
    await dial(dialer, studio)

    names.addresses = [THERE]
    await dial(dialer, studio)
    assert (names.lookups, names.dialled) == (2, [HERE, THERE])


async def test_a_name_is_looked_up_again_when_nobody_answers(names: NameServer) -> None:
    dialer, studio = Dialer(Resolver()), names.studio
    names.addresses = ["127.0.0.3"]
    await dial(dialer, studio)
    assert names.dialled == []

    names.addresses = [THERE]
    await dial(dialer, studio)
    assert (names.lookups, names.dialled) == (2, [THERE])


async def test_a_name_is_looked_up_again_when_its_studio_is_silent(names: NameServer) -> None:
    dialer, studio = Dialer(Resolver()), names.studio
    names.silent = True
    with pytest.raises(DialUnansweredError, match=r"within 0\.05 seconds"):
        await dialer.dial(studio, b"", Offer(b""), 0.05)

    names.silent = False
    names.addresses = [THERE]
    await dial(dialer, studio)
    assert (names.lookups, names.dialled[-1]) == (2, THERE)


async def test_dials_keep_to_one_address(names: NameServer) -> None:
    dialer, studio = Dialer(Resolver()), names.studio
    names.addresses = ["::1", THERE]
    await dial(dialer, studio)
    names.addresses = ["::1", HERE, THERE]
    await dial(dialer, studio)
    assert names.dialled == [THERE, THERE], "the one that has answered, though there is a lower one by now"
    names.addresses = ["127.0.0.3", HERE]
    await dial(dialer, studio)
    assert names.dialled[2:] == [HERE], "until the name does not have it any more"


async def test_an_address_that_is_none_here_is_no_shortage(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any IPv6 address is where IPv6 is switched off: the next address may well do."""
    loop = asyncio.get_running_loop()
    sock_connect = loop.sock_connect

    async def without_ipv6(sock: socket.socket, address: Any) -> None:
        if sock.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        await sock_connect(sock, address)

    monkeypatch.setattr(loop, "sock_connect", without_ipv6)
    names.addresses = ["::1", HERE]
    await dial(Dialer(Resolver()), names.studio)
    assert names.dialled == [HERE]

    names.addresses = ["::1", "127.0.0.3"]  # the other one refuses: that is the Studio's own
    await dial(Dialer(Resolver()), names.studio)

    names.addresses = ["::1", "::2"]
    with pytest.raises(ExhaustionError, match="Cannot assign requested address"):
        await Dialer(Resolver()).dial(names.studio, b"", Offer(b""), PATIENCE)


async def test_a_name_that_no_file_is_left_to_look_up_is_a_shortage(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_files(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", without_files)
    with pytest.raises(ExhaustionError, match="Too many open files"):
        await Dialer(Resolver()).dial(names.studio, b"", Offer(b""), PATIENCE)


# Acceptance.

ACCEPT = (
    b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"  # RFC 6455 §1.3
)
OFFER = Offer(b"dGhlIHNhbXBsZSBub25jZQ==")


class Studio:
    """A backend on one connection at a time that answers as a test says.

    Attributes:
        answer: what it sends.
        ended: set when the gateway has closed the connection.
        writers: of all connections. A stranger may have connected, who looked for another program at this port.
    """

    def __init__(self) -> None:
        self.answer = b""
        self.ended = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer)
            await reader.read()
        self.ended.set()
        writer.close()


@pytest.fixture
async def studio() -> AsyncIterator[tuple[Studio, Backend]]:
    studio = Studio()
    async with await asyncio.start_server(studio.serve, HERE, 0) as server:
        where = BackendUrl.parse(f"ws://{HERE}:{server.sockets[0].getsockname()[1]}/ws")
        yield studio, Backend(where, HealthTracker(rise=1, fall=1))
    for writer in studio.writers:
        writer.transport.abort()
    await asyncio.sleep(0)  # the loop closes the sockets at its next turn


async def test_a_backend_that_accepts(studio: tuple[Studio, Backend]) -> None:
    script, backend = studio
    script.answer = ACCEPT + b"early"
    link = await Dialer(Resolver()).dial(backend, b"GET / HTTP/1.1\r\n\r\n", OFFER, PATIENCE)
    assert link.backend is backend
    assert link.accepted.subprotocol == ""
    assert link.connection.take(asyncio.Protocol()) == b"early"
    link.connection.transport.abort()
    await script.ended.wait()


async def test_a_known_answer_says_the_same_again(studio: tuple[Studio, Backend]) -> None:
    script, backend = studio
    other = Offer(b"AAAAAAAAAAAAAAAAAAAAAA==")
    accepted: list[Acceptance] = []
    known: list[KnownAnswer | None] = []
    dialer = Dialer(Resolver())
    for offer in (OFFER, other, OFFER):
        script.answer = ACCEPT.replace(accept_for(OFFER.key), accept_for(offer.key))
        link = await dialer.dial(backend, b"GET / HTTP/1.1\r\n\r\n", offer, PATIENCE)
        accepted.append(link.accepted)
        assert link.connection.take(asyncio.Protocol()) == b""
        link.connection.transport.abort()
        known.append(backend.known_answer)
    assert accepted == [Acceptance("", frozenset(), 0, b"", b"")] * 3
    assert known == [known[0]] * 3, "it was recognised, so none of the others was parsed"
    assert known[0] is not None


async def test_an_answer_to_another_key_is_wrong_even_if_it_is_known(studio: tuple[Studio, Backend]) -> None:
    script, backend = studio
    script.answer = ACCEPT
    dialer = Dialer(Resolver())
    link = await dialer.dial(backend, b"GET / HTTP/1.1\r\n\r\n", OFFER, PATIENCE)
    link.connection.transport.abort()
    with pytest.raises(DialRefusedError, match="the Sec-WebSocket-Accept header does not match the key"):
        await dialer.dial(backend, b"GET / HTTP/1.1\r\n\r\n", Offer(b"AAAAAAAAAAAAAAAAAAAAAA=="), PATIENCE)


def readers_alive() -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, HttpConnection | ResponseReader)]


async def test_what_accepts_is_not_left_to_the_garbage_collector(studio: tuple[Studio, Backend]) -> None:
    script, backend = studio
    script.answer = ACCEPT
    gc.collect()
    gc.disable()
    before = readers_alive()
    try:
        link = await Dialer(Resolver()).dial(backend, b"GET / HTTP/1.1\r\n\r\n", OFFER, PATIENCE)
        transport = link.connection.transport
        link.connection.take(asyncio.Protocol())
        del link
        assert [each for each in readers_alive() if each not in before] == []
    finally:
        gc.enable()
    transport.abort()
    await script.ended.wait()


async def test_a_refusal_of_the_client_is_its_response(studio: tuple[Studio, Backend]) -> None:
    script, backend = studio
    script.answer = b"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"
    with pytest.raises(BackendRefusedError, match="the backend answered 403") as raised:
        await Dialer(Resolver()).dial(backend, b"GET / HTTP/1.1\r\n\r\n", OFFER, PATIENCE)
    response = raised.value.response
    assert (response.status, response.headers.one(b"content-type"), response.body) == (
        403,
        "text/plain",
        b"no",
    )
    await script.ended.wait()


@pytest.mark.parametrize(
    ("answer", "words", "answers"),
    [
        (
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            "the backend answered the upgrade with 500",
            True,
        ),
        (
            b"HTTP/1.1 302 Oops\r\nContent-Length: 0\r\n\r\n",
            "the backend answered the upgrade with 302",
            True,
        ),
        (
            ACCEPT.replace(b"s3p", b"xxx"),
            "the answer to the upgrade is wrong: the Sec-WebSocket-Accept",
            True,
        ),
        (b"garbage\r\n\r\n", "the answer is not HTTP: ", False),
        (ACCEPT[:20], "the backend did not answer within 0.2 seconds", False),
    ],
)
async def test_a_backend_that_does_not_accept(
    studio: tuple[Studio, Backend],
    answer: bytes,
    words: str,
    answers: bool,  # noqa: FBT001 - a column of the table
) -> None:
    script, backend = studio
    script.answer = answer
    timeout = 0.2 if words.startswith("the backend did not answer") else PATIENCE
    with pytest.raises(DialError, match=f"^{words}") as caught:
        await Dialer(Resolver()).dial(backend, b"GET / HTTP/1.1\r\n\r\n", OFFER, timeout)
    expected = DialRefusedError if answers else DialUnansweredError
    assert type(caught.value) is expected, "an answer in HTTP is weaker evidence than none"
    await script.ended.wait()
