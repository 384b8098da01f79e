"""Looking names up: one look-up at a time of each name, and the last addresses while there is no answer."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.clock import loop_clock

from memmie_gateway.core.steps import ready
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.http1.resolver import DOUBT_SECONDS, FRESH_SECONDS, RETRY_SECONDS, Resolver, in_order

AUTH = AuthUrl.parse("http://auth.example:8001")


class NameServer:
    """Answers when a test says so, as `loop.getaddrinfo` would."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def answers(self, *addresses: str) -> None:
        """Answer the question under way and the next ones."""
        if self.answer.done():
            self.answer = asyncio.get_running_loop().create_future()
        self.answer.set_result(found(*addresses))

    def fails(self, code: int = socket.EAI_AGAIN) -> None:
        """Fail the question under way and the next ones."""
        if self.answer.done():
            self.answer = asyncio.get_running_loop().create_future()
        self.answer.set_exception(socket.gaierror(code, "Temporary failure in name resolution"))

    def is_silent(self) -> None:
        """Let the next questions wait."""
        self.answer = asyncio.get_running_loop().create_future()

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


async def ask(names: Resolver) -> list[str]:
    return await ready(names.addresses(AUTH))


async def test_an_answer_is_used_for_a_while(server: NameServer) -> None:
    names = Resolver()
    server.answers("192.0.2.1")
    with loop_clock() as clock:
        await ask(names)
        assert names.addresses(AUTH) == ["192.0.2.1"], "without waiting"
        assert len(server.questions) == 1
        clock.put_forward(FRESH_SECONDS)
        server.answers("192.0.2.2")
        assert await ask(names) == ["192.0.2.2"]
    assert len(server.questions) == 2


async def test_a_service_in_doubt_is_looked_up_for_every_connection(server: NameServer) -> None:
    """Its name may still have the old address a moment after it has failed, and another service that address."""
    names = Resolver()
    names.doubt(AUTH)
    server.answers("192.0.2.1")
    await ask(names)
    names.doubt(AUTH)
    with loop_clock() as clock:
        assert await ask(names) == ["192.0.2.1"]
        server.answers("192.0.2.2")
        assert await ask(names) == ["192.0.2.2"]
        clock.put_forward(DOUBT_SECONDS)
        await ask(names)
        server.answers("192.0.2.3")
        assert names.addresses(AUTH) == ["192.0.2.2"], "in use again for a while"


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


# A name server that fails.


async def test_a_failed_look_up_leaves_the_last_addresses_in_use(server: NameServer) -> None:
    names = Resolver()
    told: list[tuple[str, str]] = []
    names.on_stale = lambda *what: told.append(what)
    server.answers("192.0.2.1")
    await ask(names)
    server.fails()
    with loop_clock() as clock:
        for _ in range(20):
            clock.put_forward(FRESH_SECONDS)
            assert await ask(names) == ["192.0.2.1"]
        while "under_way=0" not in repr(names):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        assert (names.stale, len(told)) == (1, 1)
        assert told[0][0] == "auth.example"
        assert "Temporary failure" in told[0][1]
        assert repr(names).startswith("<Resolver names=1 stale=1 ")

        server.answers("192.0.2.2")
        clock.put_forward(RETRY_SECONDS)
        assert await ask(names) == ["192.0.2.1"], "nobody waits while the name is stale"
        while names.stale:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        assert names.addresses(AUTH) == ["192.0.2.2"]

        server.fails()
        clock.put_forward(FRESH_SECONDS)
        await ask(names)
    assert len(told) == 2, "once for each time that it fails"


async def test_a_failed_look_up_is_not_repeated_at_once(server: NameServer) -> None:
    names = Resolver()
    server.answers("192.0.2.1")
    await ask(names)
    server.fails()
    names.doubt(AUTH)
    for _ in range(20):
        await ask(names)
        names.doubt(AUTH)
    assert len(server.questions) == 2


async def test_a_service_that_has_failed_and_has_no_name_any_more_is_not_looked_for_at_its_last_address(
    server: NameServer,
) -> None:
    """Another service may have got this address."""
    names = Resolver()
    server.answers("192.0.2.1")
    await ask(names)
    with loop_clock() as clock:
        server.fails(socket.EAI_NONAME)
        clock.put_forward(FRESH_SECONDS)
        assert await ask(names) == ["192.0.2.1"], "it works, so the name server is wrong"
        names.doubt(AUTH)
        clock.put_forward(RETRY_SECONDS)
        server.fails()
        assert await ask(names) == ["192.0.2.1"], "whoever cannot look a name up does not say that it is gone"
        for _ in range(3):
            await asyncio.sleep(0)  # the look-up goes on without anybody
        clock.put_forward(RETRY_SECONDS)
        server.fails(socket.EAI_NONAME)
        await ask(names)
        while names.stale:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        with pytest.raises(socket.gaierror):
            await ask(names)
        server.answers("192.0.2.2")
        assert await ask(names) == ["192.0.2.2"]
        names.doubt(AUTH)
        server.fails(socket.EAI_NONAME)
        with pytest.raises(socket.gaierror):
            await ask(names)


async def test_a_silent_name_server_delays_one_connection_by_a_moment(server: NameServer) -> None:
    names = Resolver()
    told: list[tuple[str, str]] = []
    names.on_stale = lambda *what: told.append(what)
    server.answers("192.0.2.1")
    await ask(names)
    server.is_silent()
    with loop_clock() as clock:
        clock.put_forward(FRESH_SECONDS)
        began = clock.time()
        assert await ask(names) == ["192.0.2.1"]
        assert clock.time() - began < 5
        for _ in range(20):
            clock.put_forward(FRESH_SECONDS)
            assert names.addresses(AUTH) == ["192.0.2.1"], "without waiting"
    assert told == [("auth.example", "no answer within 0.5 seconds")]
    assert (names.stale, len(server.questions)) == (1, 2), "the look-up goes on"

    server.answers("192.0.2.2")
    while names.stale:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    assert names.addresses(AUTH) == ["192.0.2.2"]


async def test_a_look_up_that_was_called_off_says_nothing(server: NameServer) -> None:
    names = Resolver()
    server.answers("192.0.2.1")
    await ask(names)
    server.is_silent()
    names.doubt(AUTH)
    waiting = asyncio.create_task(ask(names))
    await asyncio.sleep(0)
    server.answer.cancel()
    await asyncio.wait([waiting])
    assert names.stale == 0


async def test_a_forgotten_name_is_looked_up_anew(server: NameServer) -> None:
    names = Resolver()
    server.answers("192.0.2.1")
    known = await ask(names)
    server.fails()
    names.forget(AUTH)
    names.keep_to(AUTH, known)
    names.give_up(AUTH)
    with pytest.raises(socket.gaierror):
        await ask(names)
    assert names.stale == 0


# A name with several addresses.


@pytest.mark.parametrize(
    ("found", "ordered"),
    [
        (["192.0.2.10", "192.0.2.9"], ["192.0.2.9", "192.0.2.10"]),
        (["192.0.2.2", "2001:db8::2", "192.0.2.1", "2001:db8::1"],
         ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]),
        (["fe80::2%lo", "192.0.2.1", "fe80::1%lo"], ["fe80::1%lo", "fe80::2%lo", "192.0.2.1"]),
    ],
)  # fmt: skip
def test_the_lowest_is_the_first_of_its_family(found: list[str], ordered: list[str]) -> None:
    assert in_order(found) == ordered


async def test_connections_keep_to_the_address_that_answers_until_it_fails(server: NameServer) -> None:
    names = Resolver()
    several: list[tuple[str, list[str]]] = []
    names.on_several = lambda *what: several.append(what)
    server.answers("192.0.2.3", "192.0.2.2", "192.0.2.1")
    assert (await ask(names))[0] == "192.0.2.1"
    names.keep_to(AUTH, ["192.0.2.2", "192.0.2.1", "192.0.2.3"])
    assert await ask(names) == ["192.0.2.2", "192.0.2.1", "192.0.2.3"]
    names.doubt(AUTH)
    server.answers("192.0.2.1", "192.0.2.3", "192.0.2.2")
    assert (await ask(names))[0] == "192.0.2.2", "also after the next look-up"
    names.give_up(AUTH)
    assert (await ask(names))[0] == "192.0.2.1"
    names.doubt(AUTH)
    server.answers("192.0.2.3", "192.0.2.2")
    assert (await ask(names))[0] == "192.0.2.2", "the lowest, where the one in use is not there any more"
    assert several == [("auth.example", ["192.0.2.1", "192.0.2.2", "192.0.2.3"])], "once for a name"


async def test_one_address_of_each_family_is_no_surprise(server: NameServer) -> None:
    names = Resolver()
    several: list[tuple[str, list[str]]] = []
    names.on_several = lambda *what: several.append(what)
    server.answers("192.0.2.1", "2001:db8::1")
    await ask(names)
    assert several == []
