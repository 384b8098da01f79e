"""A name server that fails or is silent, and a name with several addresses: whole gateways (spec §3)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.asking import metric
from tests.clock import loop_clock
from tests.net.pair import GatewayLog, StartGateway, until
from websockets.exceptions import InvalidStatus

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway import Gateway
from memmie_harness.client import connect, heartbeat

pytestmark = pytest.mark.one_loop

HERE, THERE = "127.0.0.1", "127.0.0.2"


class NameServer:
    """Answers for `*.test` as a test says."""

    def __init__(self) -> None:
        self.addresses = [HERE]
        self.fails = False
        self.knows_nothing = False
        self.silent: asyncio.Event | None = None

    async def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        found = [host]
        if host.endswith(".test"):
            if self.silent is not None:
                await self.silent.wait()
            if self.fails:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            if self.knows_nothing:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            found = self.addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    names = NameServer()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", names.getaddrinfo)
    return names


@pytest.fixture
async def here() -> AsyncIterator[FakeStudio]:
    async with FakeStudio(port=0) as studio:
        yield studio


@pytest.fixture
async def there(here: FakeStudio) -> AsyncIterator[FakeStudio]:
    """Another Studio on the same port of another address."""
    async with FakeStudio(host=THERE, port=here.port) as studio:
        yield studio


@pytest.fixture
async def gateway(
    names: NameServer, here: FakeStudio, auth: FakeAuth, start_gateway: StartGateway
) -> Gateway:
    """A gateway that knows Auth and its only Studio by name."""
    assert names.addresses == [HERE]
    return await start_gateway(
        STUDIO_WS_URLS=f"ws://studio.test:{here.port}/ws",
        AUTH_URL=f"http://auth.test:{auth.port}",
        HEALTH_FALL="1",
        HEALTH_INTERVAL_SECONDS="0.1",
        HEALTH_TIMEOUT_SECONDS="60",  # longer than the time by which a test puts the clock forward
        HEALTH_RECOVERY_SECONDS="0.05",
    )


async def newcomers(gateway: Gateway, auth: FakeAuth, prefix: str, count: int = 6) -> None:
    """Connect several new users at once; if they are more than ever before, Auth needs new connections, too."""

    async def come(user: str) -> None:
        await heartbeat(await connect(gateway.url.replace("http", "ws") + "/ws", auth.mint(user)))

    async with asyncio.timeout(4):
        await asyncio.gather(*(come(f"{prefix}{number}") for number in range(count)))


async def stale_names(gateway: Gateway) -> float:
    async with aiohttp.ClientSession() as http:
        return await metric(http, gateway.url, "gateway_stale_names")


async def test_a_name_server_that_fails_is_nobodys_failure(
    gateway: Gateway, names: NameServer, auth: FakeAuth, log: GatewayLog
) -> None:
    await newcomers(gateway, auth, "before", 2)
    names.fails = True
    with loop_clock() as clock:
        for turn in range(4):
            clock.put_forward(6)
            await newcomers(gateway, auth, f"{turn}-", 4 + 2 * turn)
        await until(lambda: len(log.lines("name_stale")) == 2)
        assert sorted(line["name"] for line in log.lines("name_stale")) == ["auth.test", "studio.test"]
        assert [line["state"] for line in log.lines("backend_health")] == ["healthy"]
        assert log.lines("refused") == []
        assert await stale_names(gateway) == 2

        names.fails = False
        clock.put_forward(6)
        await newcomers(gateway, auth, "after")
        await newcomers(gateway, auth, "later")
        assert await stale_names(gateway) < 2  # Auth's name is looked up only for a new connection to it
        names.fails = True
        clock.put_forward(6)
        await newcomers(gateway, auth, "again")
        await until(lambda: len(log.lines("name_stale")) >= 3)


async def test_a_studio_that_fails_puts_no_other_one_in_doubt(
    names: NameServer, here: FakeStudio, auth: FakeAuth, start_gateway: StartGateway, log: GatewayLog
) -> None:
    """The others are only checked at once. A name that does not exist is believed of those alone that have failed."""
    assert names.addresses == [HERE]
    gateway = await start_gateway(
        STUDIO_WS_URLS=f"ws://studio.test:{here.port}/ws,ws://{THERE}:{here.port}/ws",
        AUTH_URL=auth.url,
        HEALTH_FALL="1",
        HEALTH_INTERVAL_SECONDS="0.1",
        HEALTH_TIMEOUT_SECONDS="60",
    )
    works, fails = gateway.parts.pool
    await until(lambda: works.healthy and fails.dead)
    names.knows_nothing = True
    with loop_clock() as clock:
        clock.put_forward(6)
        await until(lambda: len(log.lines("name_stale")) == 1)
        await newcomers(gateway, auth, "after")
    assert works.healthy
    assert log.lines("refused") == []


async def test_a_silent_name_server_is_nobodys_failure(
    gateway: Gateway, names: NameServer, auth: FakeAuth, log: GatewayLog
) -> None:
    await newcomers(gateway, auth, "before", 2)
    names.silent = asyncio.Event()
    with loop_clock() as clock:
        for turn in range(3):
            clock.put_forward(6)
            await newcomers(gateway, auth, f"{turn}-", 4 + 2 * turn)
    await until(lambda: {line["name"] for line in log.lines("name_stale")} == {"auth.test", "studio.test"})
    assert [line["state"] for line in log.lines("backend_health")] == ["healthy"]
    assert len(log.lines("name_stale")) == 2
    names.silent.set()


async def test_one_name_is_one_studio(
    gateway: Gateway,
    names: NameServer,
    here: FakeStudio,
    there: FakeStudio,
    auth: FakeAuth,
    log: GatewayLog,
) -> None:
    """The name server answers with both addresses, each time the other way round."""

    def users_on(studio: FakeStudio) -> int:
        return len(studio.connections)

    with loop_clock() as clock:
        names.addresses = [THERE, HERE]
        for turn in range(4):
            clock.put_forward(6)
            await newcomers(gateway, auth, f"{turn}-")
            names.addresses.reverse()
        assert (users_on(here), users_on(there)) == (24, 0)
        (line,) = (line for line in log.lines("several_addresses") if line["name"] == "studio.test")
        assert line["addresses"] == [HERE, THERE]

        await here.stop()
        await newcomers(gateway, auth, "next")
        assert users_on(there) == 6
        await here.start()
        for turn in range(4):
            clock.put_forward(6)
            await newcomers(gateway, auth, f"{turn}-")
            names.addresses.reverse()
        assert (users_on(here), users_on(there)) == (0, 30)
    lines = [line for line in log.lines("several_addresses") if line["name"] == "studio.test"]
    assert len(lines) == 1


async def test_a_frozen_address_is_left_when_its_check_fails(
    gateway: Gateway, names: NameServer, here: FakeStudio, there: FakeStudio, auth: FakeAuth
) -> None:
    """It still accepts connections."""
    names.addresses = [HERE, THERE]
    here.script("reset", route="*")
    (backend,) = gateway.parts.pool
    await until(lambda: bool(there.log.entries("request")))
    await until(lambda: backend.healthy)
    await newcomers(gateway, auth, "next")
    assert len(there.connections) == 6


async def test_a_studio_that_comes_back_elsewhere_is_found(
    gateway: Gateway, names: NameServer, here: FakeStudio, there: FakeStudio, auth: FakeAuth
) -> None:
    await newcomers(gateway, auth, "before", 2)
    names.addresses = [THERE]
    await here.stop()
    (backend,) = gateway.parts.pool
    await until(lambda: backend.healthy and there.log.entries("request") != [])
    await newcomers(gateway, auth, "after")
    assert len(there.connections) == 6


async def test_a_frozen_auth_is_asked_at_its_next_address(
    names: NameServer, auth: FakeAuth, here: FakeStudio, start_gateway: StartGateway
) -> None:
    """It still accepts connections. A question may fail because of its token, but the gateway's own probe may not."""
    names.addresses = [HERE, THERE]
    auth.script("hang")
    async with FakeAuth(host=THERE, port=auth.port) as other:
        gateway = await start_gateway(
            STUDIO_WS_URLS=here.ws_url, AUTH_URL=f"http://auth.test:{auth.port}", AUTH_TIMEOUT_SECONDS="0.5"
        )
        async with asyncio.timeout(10):
            for number in itertools.count():
                try:
                    connection = await connect(
                        gateway.url.replace("http", "ws") + "/ws", other.mint(f"u{number}")
                    )
                except InvalidStatus:
                    continue
                await heartbeat(connection)
                break
        await newcomers(gateway, other, "next")
