"""When the sessions of a backend count as deserted: the backend is unhealthy, it is silent, and another one is healthy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.clock import loop_clock
from tests.net.pair import Dial, Pair, StartGateway, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.backends.balancer import rendezvous_score
from memmie_gateway.core.sessions.silence import LOOKS
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.sessions.deserted import PINGED
from memmie_harness.conformance.peers import PING, PONG, TEXT, upgrade_request

pytestmark = pytest.mark.one_loop

UNHEALTHY = (1012, "Studio is not healthy, reconnect")
SECONDS = 0.4
"""How long the silence must last."""


def fails(backend: Backend) -> None:
    """Let a health check have failed."""
    backend.failed_check("no pong", asyncio.get_running_loop().time())


def passes(backend: Backend) -> None:
    """Let a health check have passed."""
    backend.passed(asyncio.get_running_loop().time())


class Stand:
    """A gateway between a Studio with sessions and one that is only healthy."""

    def __init__(
        self, studios: list[ScriptedStudio], dial: Dial, auth: FakeAuth, start: StartGateway
    ) -> None:
        self._studios = studios
        self._dial = dial
        self._auth = auth
        self._start = start
        self.gateway: Gateway

    async def start(self, **settings: str) -> None:
        self.gateway = await self._start(
            STUDIO_WS_URLS=",".join(studio.url for studio in self._studios),
            **{"HEALTH_FALL": "1", "HEALTH_TIMEOUT_SECONDS": str(SECONDS), **settings},
        )

    @property
    def backend(self) -> Backend:
        return self.gateway.parts.pool.active[0]

    async def join(self) -> Pair:
        """Connect a user whose home is the first Studio."""
        users = (f"u{number}" for number in range(1000))
        user = next(
            user
            for user in users
            if rendezvous_score(user, self._studios[0].url) > rendezvous_score(user, self._studios[-1].url)
        )
        client = await self._dial(self.gateway)
        client.write(upgrade_request(self._auth.mint(user)))
        end = await self._studios[0].arrival()
        accept(end)
        assert (await client.read_head()).status == 101
        return Pair(self.gateway, client, end)

    async def looks(self, count: int) -> None:
        """Wait for so many looks at the silence."""
        deserted = self.gateway.parts.deserted
        for _ in range(count):
            before = deserted._timer
            await until(lambda: deserted._timer is not before)  # noqa: B023 - awaited at once

    def is_left_alone(self) -> bool:
        return all(session.closing is None for session in self.gateway.parts.sessions)


async def first_byte(pair: Pair) -> int:
    """Return the first byte that the backend of a session has received from it, or 0."""
    try:
        return (await pair.studio.read(1))[0]
    except (EOFError, ConnectionError):
        return 0


@pytest.fixture
async def stand(
    studio: ScriptedStudio, dial: Dial, auth: FakeAuth, start_gateway: StartGateway
) -> AsyncIterator[Stand]:
    async with ScriptedStudio() as second:
        yield Stand([studio, second], dial, auth, start_gateway)


async def test_a_silent_backends_clients_are_told(stand: Stand) -> None:
    await stand.start()
    pairs = [await stand.join() for _ in range(PINGED + 3)]
    fails(stand.backend)
    assert not stand.backend.available
    assert stand.is_left_alone()
    for pair in pairs:
        assert await pair.client.read_close() == UNHEALTHY
    assert [await first_byte(pair) for pair in pairs].count(0x80 | PING) == PINGED


async def test_one_pong_keeps_all_sessions(stand: Stand) -> None:
    await stand.start()
    pairs = [await stand.join() for _ in range(3)]
    fails(stand.backend)
    frame = await pairs[0].studio.read_frame()
    assert frame.opcode == PING
    pairs[0].studio.send(PONG, frame.payload)
    await stand.looks(LOOKS + 2)
    assert stand.is_left_alone()

    # It may fall silent later, while its health check still fails.
    fails(stand.backend)
    for pair in pairs:
        assert await pair.client.read_close() == UNHEALTHY


async def test_half_a_frame_is_a_sign_of_life(stand: Stand) -> None:
    await stand.start()
    pair = await stand.join()
    fails(stand.backend)
    pair.studio.write(pair.studio.frame(TEXT, "a message")[:4])
    await stand.looks(LOOKS + 2)
    assert stand.is_left_alone()


async def test_a_backend_that_recovers_keeps_its_sessions(stand: Stand) -> None:
    await stand.start()
    await stand.join()
    fails(stand.backend)
    await stand.looks(LOOKS - 2)
    passes(stand.backend)
    assert stand.gateway.parts.deserted._silences == {}
    assert stand.is_left_alone()
    await until(lambda: stand.gateway.parts.deserted._timer is None)


async def test_who_still_waits_for_the_end_stays_if_the_backend_recovers(stand: Stand) -> None:
    await stand.start(EVICT_PER_SECOND="0.01")
    for _ in range(3):
        await stand.join()
    fails(stand.backend)
    evictor = stand.gateway.parts.evictor
    await until(lambda: len(evictor._evictions) == 2)
    passes(stand.backend)
    await until(lambda: not len(evictor._evictions))
    assert sum(session.closing is None for session in stand.gateway.parts.sessions) == 2


async def test_a_healthy_backend_may_be_silent(stand: Stand) -> None:
    await stand.start(HEALTH_FALL="1000")
    pair = await stand.join()
    fails(stand.backend)
    assert (await pair.studio.read_frame()).opcode == PING
    await stand.looks(LOOKS + 2)
    assert stand.is_left_alone()


async def test_nobody_is_told_while_no_other_backend_has_answered_since(stand: Stand) -> None:
    await stand.start()
    pair = await stand.join()
    other = stand.gateway.parts.pool.active[1]
    other.check_now = lambda: None  # its health check begins, and has no result yet
    fails(stand.backend)
    await stand.looks(LOOKS + 2)
    assert other.healthy
    assert stand.is_left_alone()
    passes(other)
    assert await pair.client.read_close() == UNHEALTHY


async def test_a_pause_of_the_gateway_is_not_silence(stand: Stand) -> None:
    await stand.start()
    await stand.join()
    with loop_clock() as clock:
        fails(stand.backend)
        clock.put_forward(60)
        await stand.looks(1)
        assert stand.is_left_alone()


async def test_inside_a_frame_no_ping_is_sent_and_nobody_is_judged(stand: Stand) -> None:
    await stand.start()
    pair = await stand.join()
    message = pair.client.frame(TEXT, "a message")
    pair.client.write(message[:8])
    assert (await pair.studio.read(8))[:1] == message[:1]
    fails(stand.backend)
    assert stand.gateway.parts.deserted._silences == {}
    pair.client.write(message[8:])
    await pair.studio.read(len(message) - 8)
    fails(stand.backend)
    assert (await pair.studio.read_frame()).opcode == PING
    assert await pair.client.read_close() == UNHEALTHY


async def test_a_backend_that_does_not_take_what_waits_for_it_needs_no_ping(stand: Stand) -> None:
    """A ping would be behind all that waits."""
    await stand.start()
    pair = await stand.join()
    frame = pair.client.frame(TEXT, b"x" * 1_000_000)
    for _ in range(20):
        pair.client.write(frame)
    (session,) = sessions_of(stand.gateway)
    await until(lambda: session._backend.transport.get_write_buffer_size() > 0)
    fails(stand.backend)
    assert await pair.client.read_close() == UNHEALTHY


async def test_a_failed_dial_pings_first_and_only_once_in_a_while(stand: Stand) -> None:
    """So that the silence has lasted by the time at which the health check has failed."""
    await stand.start(HEALTH_FALL="2")
    pair = await stand.join()
    stand.backend.on_doubt = lambda: None
    for _ in range(5):
        stand.backend.failed("no answer")
        stand.backend.worked()
    assert (await pair.studio.read_frame()).opcode == PING
    pair.studio.send(TEXT, "down")
    assert await pair.client.read_message() == (TEXT, b"down"), "no second ping was sent"
    await stand.looks(LOOKS + 1)
    assert stand.is_left_alone()


async def test_a_session_that_ends_by_itself_ends_the_watching(stand: Stand) -> None:
    await stand.start(HEALTH_FALL="1000")
    pair = await stand.join()
    fails(stand.backend)
    pair.client.reset()
    pair.studio.reset()
    await until(lambda: stand.gateway.parts.deserted._timer is None)
    assert repr(stand.gateway.parts.deserted) == "<DesertedSessions {}>"


async def test_keep(stand: Stand) -> None:
    await stand.start(UNHEALTHY_SESSIONS="keep")
    pair = await stand.join()
    fails(stand.backend)
    await pair.exchange()
    assert stand.gateway.parts.deserted._timer is None
