"""Looking names up: one look-up at a time of each name, whoever waits or leaves."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from memmie_gateway.core.steps import ready
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.http1.resolver import Resolver

AUTH = AuthUrl.parse("http://auth.example:8001")


class NameServer:
    """Answers when a test says so, as `loop.getaddrinfo` would."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        assert port == 8001
        self.questions.append(host)
        return await self.answer


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    server = NameServer()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", server.getaddrinfo)
    return server


def found(*addresses: str) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 8001)) for address in addresses]


async def test_an_address_is_not_looked_up(server: NameServer) -> None:
    assert Resolver().addresses(AuthUrl.parse("http://[::1]:8001")) == ["::1"]
    assert server.questions == []


async def test_all_who_wait_share_one_look_up_and_whoever_leaves_does_not_end_it(server: NameServer) -> None:
    names = Resolver()
    waiting = [asyncio.create_task(ready(names.addresses(AUTH))) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for leaving in waiting[:19]:
        leaving.cancel()
    server.answer.set_result(found("192.0.2.1", "192.0.2.2", "192.0.2.1"))

    assert await waiting[19] == ["192.0.2.1", "192.0.2.2"]
    assert server.questions == ["auth.example"]


async def test_the_next_question_is_a_new_look_up(server: NameServer) -> None:
    names = Resolver()
    server.answer.set_result(found("192.0.2.1"))
    await ready(names.addresses(AUTH))
    await ready(names.addresses(AUTH))

    assert len(server.questions) == 2


async def test_a_failure_that_nobody_waits_for_any_more_is_nobodys_surprise(server: NameServer) -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    names = Resolver()
    waiting = asyncio.create_task(ready(names.addresses(AUTH)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    server.answer.set_exception(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    while "under_way=0" not in repr(names):  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)

    assert complaints == []
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        await ready(names.addresses(AUTH))


async def test_what_is_no_name_is_told_like_one_that_is_not_known() -> None:
    with pytest.raises(OSError, match="the host name is not valid"):
        await ready(Resolver().addresses(AuthUrl.parse(f"http://{'a' * 64}.test:8001")))


async def test_each_waiter_may_reorder_its_addresses(server: NameServer) -> None:
    names = Resolver()
    first, second = (asyncio.create_task(ready(names.addresses(AUTH))) for _ in range(2))
    server.answer.set_result(found("192.0.2.1", "192.0.2.2"))
    (await first).reverse()

    assert await second == ["192.0.2.1", "192.0.2.2"]
