"""Which address a Studio's name is dialled at: a name is looked up once in a while, and after every failure."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from memmie_gateway.core.health import HealthTracker
from memmie_gateway.core.websocket.handshake import Offer
from memmie_gateway.net.backends import dialer as dialer_module
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.backends.dialer import Dialer, DialError
from memmie_gateway.net.http1.exhaustion import ExhaustionError

HERE, THERE = "127.0.0.1", "127.0.0.2"


class Resolver:
    """Says where a Studio is, and notes where it was dialled; no answer is a good one there."""

    def __init__(self) -> None:
        self.addresses = [HERE]
        self.lookups = 0
        self.dialled: list[str] = []
        self.port = 0

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

    async def refuse(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.append(writer.get_extra_info("sockname")[0])
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Resolver]:
    names = Resolver()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    async with contextlib.AsyncExitStack() as servers:
        for address in (HERE, THERE):
            server = await asyncio.start_server(names.refuse, address, names.port)
            names.port = server.sockets[0].getsockname()[1]
            await servers.enter_async_context(server)
        yield names


async def dial(dialer: Dialer, studio: Backend) -> None:
    with pytest.raises(DialError):
        await dialer.dial(studio, b"", Offer(b""))


async def test_a_name_is_looked_up_once_for_many_dials(names: Resolver) -> None:
    dialer, studio = Dialer(timeout=5), names.studio
    for _ in range(3):
        await dial(dialer, studio)
    assert (names.lookups, names.dialled) == (1, [HERE, HERE, HERE])


async def test_a_name_is_looked_up_again_when_its_studio_has_failed(names: Resolver) -> None:
    dialer, studio = Dialer(timeout=5), names.studio
    await dial(dialer, studio)

    names.addresses = [THERE]
    studio.failed("its connection broke")
    await dial(dialer, studio)
    await dial(dialer, studio)
    assert (names.lookups, names.dialled) == (2, [HERE, THERE, THERE])


async def test_a_name_is_looked_up_again_when_nobody_answers(names: Resolver) -> None:
    dialer, studio = Dialer(timeout=5), names.studio
    names.addresses = ["127.0.0.3"]
    await dial(dialer, studio)
    assert names.dialled == []

    names.addresses = [THERE]
    await dial(dialer, studio)
    assert (names.lookups, names.dialled) == (2, [THERE])


async def test_a_name_is_looked_up_again_after_a_while(
    names: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer_module, "_ADDRESS_SECONDS", 0)
    dialer, studio = Dialer(timeout=5), names.studio
    await dial(dialer, studio)

    names.addresses = [THERE]
    await dial(dialer, studio)
    assert (names.lookups, names.dialled) == (2, [HERE, THERE])


async def test_the_address_that_answers_is_dialled_first_from_then_on(names: Resolver) -> None:
    dialer, studio = Dialer(timeout=5), names.studio
    names.addresses = ["127.0.0.3", THERE]
    await dial(dialer, studio)
    await dial(dialer, studio)
    assert (names.lookups, names.dialled) == (1, [THERE, THERE])
    assert dialer._addresses[studio.url].found == [THERE, "127.0.0.3"]


async def test_an_address_that_is_none_here_is_no_shortage(
    names: Resolver, monkeypatch: pytest.MonkeyPatch
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
    await dial(Dialer(timeout=5), names.studio)
    assert names.dialled == [HERE]

    names.addresses = ["::1", "127.0.0.3"]  # the other one refuses: that is the Studio's own
    await dial(Dialer(timeout=5), names.studio)

    names.addresses = ["::1", "::2"]
    with pytest.raises(ExhaustionError, match="Cannot assign requested address"):
        await Dialer(timeout=5).dial(names.studio, b"", Offer(b""))


async def test_a_name_that_no_file_is_left_to_look_up_is_a_shortage(
    names: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_files(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", without_files)
    with pytest.raises(ExhaustionError, match="Too many open files"):
        await Dialer(timeout=5).dial(names.studio, b"", Offer(b""))
