"""How users are moved: between two messages, all connections to the same place, and not again for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.clock import loop_clock
from tests.net.pair import Dial, StartGateway, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.wire import CONT, TEXT, Peer, upgrade_request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.backends.balancer import rendezvous_score
from memmie_gateway.core.sessions.rebalance import AGAIN_SECONDS
from memmie_gateway.net.sessions.rebalancer import Rebalancer

pytestmark = pytest.mark.one_loop

MOVED = (1012, "moving to another Studio, reconnect")


class Users:
    """Connects users to two Studios, of which the first is the home of `user`."""

    def __init__(
        self, studios: tuple[ScriptedStudio, ScriptedStudio], dial: Dial, auth: FakeAuth, start: StartGateway
    ) -> None:
        self._dial = dial
        self._auth = auth
        self._start = start
        self.user = "u1"
        self.home, self.other = sorted(
            studios, key=lambda studio: rendezvous_score(self.user, studio.url), reverse=True
        )
        self.gateway: Gateway

    async def start(self, **settings: str) -> None:
        """Start a gateway that moves users home at once."""
        urls = f"{self.home.url},{self.other.url}"
        self.gateway = await self._start(
            STUDIO_WS_URLS=urls, **{"REBALANCE": "home", "REBALANCE_AFTER_SECONDS": "0.05", **settings}
        )

    @property
    def rebalancer(self) -> Rebalancer:
        assert self.gateway.parts.rebalancer is not None
        return self.gateway.parts.rebalancer

    async def connect(self, studio: ScriptedStudio, *refusing: ScriptedStudio) -> tuple[Peer, Peer]:
        """Connect the user to a Studio, after others have refused; return both ends."""
        client = await self._dial(self.gateway)
        client.write(upgrade_request(self._auth.mint(self.user)))
        for each in refusing:
            refused = await each.arrival()
            refused.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        end = await studio.arrival()
        accept(end)
        assert (await client.read_head()).status == 101
        return client, end


@pytest.fixture
async def users(
    studio: ScriptedStudio, dial: Dial, auth: FakeAuth, start_gateway: StartGateway
) -> AsyncIterator[Users]:
    async with ScriptedStudio() as second:
        yield Users((studio, second), dial, auth, start_gateway)


async def take_leave(client: Peer, end: Peer) -> None:
    """Answer the Close frame with which the gateway moves a client, as a client does."""
    assert await client.read_close() == MOVED
    client.send_close(1012)
    assert (await end.read_close())[0] == 1012
    end.send_close(1012)


async def turns(users: Users, count: int = 3) -> None:
    """Wait for turns of the rebalancer."""
    for _ in range(count):
        before = users.rebalancer._timer
        await until(lambda: users.rebalancer._timer is not before)  # noqa: B023 - awaited at once


async def test_a_stray_is_moved_between_two_messages_only(users: Users) -> None:
    await users.start()
    client, end = await users.connect(users.other, users.home)
    client.send(TEXT, "be", fin=False)
    assert (await end.read_frame()).payload == b"be"
    (session,) = users.gateway.parts.sessions
    await turns(users)
    assert repr(users.rebalancer) == "<Rebalancer home split=0 strays=1>"
    assert session.closing is None

    client.send(CONT, "gin")
    assert (await end.read_frame()).payload == b"gin"
    assert await client.read_close() == MOVED
    client.send(TEXT, "one more, sent before the Close came")
    client.send_close(1012)
    assert await end.read_message() == (TEXT, b"one more, sent before the Close came")
    assert (await end.read_close())[0] == 1012


async def test_the_next_connection_goes_home_though_another_one_is_still_away(users: Users) -> None:
    """Otherwise a client that comes back quickly would follow the one that is to be moved next."""
    await users.start()
    client, end = await users.connect(users.other, users.home)
    client.send(TEXT, "be", fin=False)  # so that it is not moved before the other one is there
    busy, busy_end = await users.connect(users.other)
    busy.send(TEXT, "be", fin=False)
    assert (await busy_end.read_frame()).payload == b"be"
    client.send(CONT, "gin")
    assert [(await end.read_frame()).payload for _ in range(2)] == [b"be", b"gin"]
    await take_leave(client, end)
    await users.connect(users.home)

    busy.send(CONT, "gin")
    assert (await busy_end.read_frame()).payload == b"gin"
    await take_leave(busy, busy_end)
    await users.connect(users.home)
    await turns(users)
    assert (users.rebalancer.split, users.rebalancer.strays) == (0, 0)


async def test_a_user_is_not_moved_again_for_ten_minutes(users: Users) -> None:
    await users.start()
    await take_leave(*await users.connect(users.other, users.home))
    client, end = await users.connect(users.other, users.home)  # in vain
    await turns(users)
    assert (users.rebalancer.strays, len(users.gateway.parts.sessions)) == (1, 1)
    with loop_clock() as clock:
        clock.put_forward(AGAIN_SECONDS)
        await take_leave(client, end)


async def test_nobody_is_moved_to_an_ejected_studio(users: Users) -> None:
    await users.start()
    home = next(backend for backend in users.gateway.parts.pool if backend.url == users.home.url)
    client, end = await users.connect(users.other, users.home)
    home.outlier.ejected = True
    await turns(users)
    (session,) = users.gateway.parts.sessions
    assert session.closing is None
    assert users.rebalancer.strays == 1, "it is the home all the same, for every gateway"
    home.outlier.ejected = False
    await take_leave(client, end)


async def test_nobody_is_moved_once_the_evidence_against_the_home_is_new(users: Users) -> None:
    """Also those who wait for their turn."""
    await users.start(REBALANCE_AFTER_SECONDS="100")
    home = next(backend for backend in users.gateway.parts.pool if backend.url == users.home.url)
    await users.connect(users.other, users.home)
    (session,) = users.gateway.parts.sessions
    users.rebalancer._turn()
    users.rebalancer._submit(session, home)
    await asyncio.sleep(0)
    assert session.closing is None


async def test_a_removed_studio_is_left(users: Users) -> None:
    """With `home`: its connections would otherwise stay for as long as the clients like."""
    await users.start()
    client, end = await users.connect(users.home)
    removed = users.gateway.parts.pool.active[0]
    users.gateway.update_backends([users.gateway.parts.pool.active[1].where])
    assert removed.connections == 1
    await take_leave(client, end)
    await users.connect(users.other)
    await turns(users)
    assert (users.rebalancer.split, users.rebalancer.strays) == (0, 0)


async def test_a_gateway_that_stops_moves_nobody(users: Users) -> None:
    await users.start()
    client, end = await users.connect(users.other, users.home)
    stopping = asyncio.create_task(users.gateway.stop())
    assert await client.read_close() == (1001, "the gateway is shutting down")
    client.send_close(1001)
    await end.read_close()
    end.send_close(1001)
    await stopping
