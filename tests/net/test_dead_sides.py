"""Sides that are dead or half dead: when they are found, and that they get no closing handshake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from tests.net.pair import GatewayLog, Join, Pair, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.net.sessions.leg import TOO_FAST
from memmie_harness.conformance.peers import BINARY, CLOSE, PING, PONG, TEXT, Peer, upgrade_request

QUICK = {"PING_INTERVAL_SECONDS": "0.2", "PING_TIMEOUT_SECONDS": "0.3"}
SMALL = {"limit": 1024, "receive_buffer": 4096}
HUGE = bytes(1 << 20)


async def frames_until_the_end(end: Peer) -> list[int]:
    """Read all frames until the connection ends in any way; return their opcodes."""
    opcodes: list[int] = []
    with contextlib.suppress(OSError, EOFError):
        while True:
            opcodes.append((await end.read_frame()).opcode)
    return opcodes


async def answer(end: Peer, received: list[int], *, leaves: bool = True) -> None:
    """Answer every ping until the connection ends; note the opcodes. `leaves` answers a Close frame by leaving."""
    with contextlib.suppress(OSError, EOFError):
        while True:
            frame = await end.read_frame()
            received.append(frame.opcode)
            if frame.opcode == PING:
                end.send(PONG, frame.payload)
            elif frame.opcode == CLOSE and leaves:
                end.writer.transport.abort()


async def say(end: Peer, what: bytes, pause: float) -> None:
    """Send bytes again and again, until the connection ends."""
    while not end.writer.is_closing():
        end.write(what)
        await asyncio.sleep(pause)


async def until_closed(log: GatewayLog, cause: str) -> None:
    line = await log.line("closed")
    assert line["cause"] == cause, line


# The interval.


@pytest.mark.parametrize("end", ["client", "studio"])
async def test_pings_come_at_the_interval(join: Join, end: str) -> None:
    """Before, the first one came after one and a half of it."""
    interval = 0.5
    pair = await join(PING_INTERVAL_SECONDS=str(interval), PING_TIMEOUT_SECONDS="5")
    loop = asyncio.get_running_loop()
    silent = pair.client if end == "client" else pair.studio
    last = loop.time()
    waits = []
    for _ in range(3):
        frame = await silent.read_frame()
        assert frame.opcode == PING
        waits.append(loop.time() - last)
        silent.send(PONG, frame.payload)
        last = loop.time()
    assert all(interval * 0.9 <= wait < interval * 1.3 for wait in waits), waits


async def test_the_interval_begins_with_the_last_byte(join: Join) -> None:
    interval = 0.5
    pair = await join(PING_INTERVAL_SECONDS=str(interval), PING_TIMEOUT_SECONDS="5")
    loop = asyncio.get_running_loop()
    await asyncio.sleep(interval * 0.6)
    pair.client.send(TEXT, "the last one")
    last = loop.time()
    assert (await pair.client.read_frame()).opcode == PING
    assert interval * 0.9 <= loop.time() - last < interval * 1.3


# Signs of life.


async def test_a_client_that_speaks_but_answers_no_ping_is_dead(join: Join, log: GatewayLog) -> None:
    """It is silent for the interval, and pinged; what it says after that is not the answer."""
    pair = await join(**QUICK)
    received: list[int] = []
    answering = asyncio.create_task(answer(pair.studio, received))
    assert (await pair.client.read_frame()).opcode == PING
    speaking = asyncio.create_task(say(pair.client, pair.client.frame(TEXT, "I am here"), 0.05))
    await until_closed(log, "client_silent")
    for task in (speaking, answering):
        task.cancel()


async def test_a_wrong_pong_is_no_answer(join: Join, log: GatewayLog) -> None:
    pair = await join(**QUICK)
    assert (await pair.client.read_frame()).opcode == PING
    answering = asyncio.create_task(answer(pair.studio, []))
    speaking = asyncio.create_task(say(pair.client, pair.client.frame(PONG, b"wrong"), 0.05))
    await until_closed(log, "client_silent")
    for task in (speaking, answering):
        task.cancel()


@pytest.mark.parametrize("end", ["client", "studio"])
async def test_a_side_inside_a_frame_lives_while_bytes_come(join: Join, end: str) -> None:
    """It can answer no ping before the end of its frame."""
    pair = await join(**QUICK)
    busy, other = (pair.client, pair.studio) if end == "client" else (pair.studio, pair.client)
    frame = busy.frame(BINARY, bytes(100))
    answering = asyncio.create_task(answer_pings_and_read(other, len(frame)))
    for index in range(30):
        busy.write(frame[index : index + 1])
        await asyncio.sleep(0.04)
    assert pair.session.closing is None
    busy.write(frame[30:])
    await answering


async def answer_pings_and_read(end: Peer, size: int) -> None:
    """Read a big frame byte by byte, after the pings before it."""
    while True:
        first = await end.read(2)
        if first[0] != 0x80 | PING:
            break
        rest = await end.read(12 if first[1] & 0x80 else 8)
        payload = bytes(b ^ rest[i % 4] for i, b in enumerate(rest[4:])) if len(rest) == 12 else rest
        end.send(PONG, payload)
    await end.read(size - 2)


async def test_a_client_that_takes_nothing_is_dead_though_it_speaks(join: Join, log: GatewayLog) -> None:
    """Before, such a session stayed open for ever."""
    pair = await join(**SMALL, **QUICK)
    answering = asyncio.create_task(answer(pair.studio, []))
    pair.studio.write(pair.studio.frame(BINARY, HUGE) * 8)
    speaking = asyncio.create_task(say(pair.client, pair.client.frame(TEXT, "I am here"), 0.05))
    await until_closed(log, "client_silent")
    for task in (speaking, answering):
        task.cancel()


@pytest.fixture
def small_studio(studio: ScriptedStudio) -> ScriptedStudio:
    """A Studio that reads only what the test asks for."""
    studio.read_ahead = 1024
    return studio


async def test_a_studio_that_takes_nothing_lives_while_its_health_check_passes(
    join: Join, small_studio: ScriptedStudio, log: GatewayLog
) -> None:
    pair = await join(HEALTH_RECOVERY_SECONDS="0.1", HEALTH_TIMEOUT_SECONDS="0.3", **QUICK)
    answering = asyncio.create_task(answer(pair.client, []))
    speaking = asyncio.create_task(say(pair.studio, pair.studio.frame(TEXT, "I am here"), 0.05))
    pair.client.write(pair.client.frame(BINARY, HUGE) * 12)
    await until(lambda: pair.session._client.held)
    await asyncio.sleep(1.5)  # several time-outs; the time itself is what is tested
    assert pair.session.closing is None
    small_studio.answers_health_checks = False
    await until_closed(log, "studio_silent")
    for task in (speaking, answering):
        task.cancel()


async def test_without_keepalive_a_studio_is_never_pinged(join: Join) -> None:
    """Perhaps it answers no pings, and this must not count as silence."""
    pair = await join(PING_INTERVAL_SECONDS="0", PING_TIMEOUT_SECONDS="60")
    assert pair.session.ping_backend() is False
    await pair.exchange()


async def test_a_studio_may_be_pinged_at_any_time(join: Join) -> None:
    """One that owes an answer is not pinged again."""
    pair = await join(PING_INTERVAL_SECONDS="60", PING_TIMEOUT_SECONDS="60")
    session = pair.session
    assert [session.ping_backend() for _ in range(3)] == [True] * 3
    pair.client.send(TEXT, "behind the ping")
    received = []
    while (frame := await pair.studio.read_frame()).opcode == PING:
        received.append(frame)
    assert len(received) == 1
    pair.studio.send(PONG, received[-1].payload)
    session._backend.hold(TOO_FAST)
    assert session.ping_backend() is False  # its answer would not be read
    session._backend.release(TOO_FAST)
    pair.client.write(pair.client.frame(BINARY, bytes(100))[:50])
    await pair.studio.read(50)
    assert session.ping_backend() is False  # inside a frame it cannot be pinged
    pair.client.reset()
    await until(lambda: session.closing is not None)
    assert session.ping_backend() is False


# What a dead side gets.


async def test_a_dead_client_gets_no_close_and_its_place_is_free(
    join: Join, auth: FakeAuth, studio: ScriptedStudio, dial: Callable[..., Awaitable[Peer]], log: GatewayLog
) -> None:
    """Neither the client nor Studio answers a Close frame here; before, the place was free after the close time-out."""
    pair = await join(MAX_CONNECTIONS_PER_USER="1", MAX_CONNECTIONS_PER_IP="1", **QUICK)
    received: list[int] = []
    answering = asyncio.create_task(answer(pair.studio, received, leaves=False))
    assert set(await frames_until_the_end(pair.client)) == {PING}
    await until(lambda: CLOSE in received)  # Studio is told at once
    again = await dial(pair.gateway)
    again.write(upgrade_request(auth.mint("u1")))
    accept(await studio.arrival())
    assert (await again.read_head()).status == 101
    answering.cancel()
    pair.studio.leave()
    await until(lambda: bool(log.lines("closed")))
    (line, *_) = log.lines("closed")
    assert (line["cause"], line["code"], line["by"]) == ("client_silent", None, "client")


async def test_a_dead_studio_gets_no_close_and_its_client_is_told_at_once(
    join: Join, log: GatewayLog
) -> None:
    pair = await join(**QUICK)
    received: list[int] = []
    answering = asyncio.create_task(answer(pair.client, received))
    assert set(await frames_until_the_end(pair.studio)) == {PING}
    await until(lambda: CLOSE in received)
    answering.cancel()
    pair.client.send_close(1012)
    await until(lambda: nobody_is_left(pair.gateway))
    line = await log.line("closed")
    assert (line["cause"], line["code"]) == ("studio_silent", 1012)


# The pace.


async def many(join: Join, count: int, **settings: str) -> tuple[Gateway, list[Pair]]:
    pairs = [await join(user="u0", **settings)]
    pairs += [await join(pairs[0].gateway, user=f"u{number}") for number in range(1, count)]
    return pairs[0].gateway, pairs


async def test_places_are_free_at_once_and_only_the_ends_wait(join: Join) -> None:
    """All clients are dead; each end waits for its turn, and the user may connect again at once."""
    gateway, pairs = await many(
        join, 3, EVICT_PER_SECOND="0.01", MAX_CONNECTIONS_PER_USER="1", MAX_CONNECTIONS_PER_IP="3", **QUICK
    )
    answering = [asyncio.create_task(answer(pair.studio, [])) for pair in pairs]
    sessions = list(gateway.parts.sessions)
    await until(lambda: not any(session.slots.held for session in sessions))
    assert sum(session.closing is None for session in sessions) == 2
    await join(gateway, user="u1")
    for task in answering:
        task.cancel()


async def test_whoever_answers_before_its_turn_lives_and_counts_again(join: Join) -> None:
    """Otherwise a user who is late with every pong could have any number of connections."""
    gateway, pairs = await many(join, 3, EVICT_PER_SECOND="2", **QUICK)
    answering = [asyncio.create_task(answer(pair.studio, [])) for pair in pairs]
    sessions = list(gateway.parts.sessions)
    await until(lambda: not any(session.slots.held for session in sessions))
    answering += [asyncio.create_task(answer(pair.client, [])) for pair in pairs]
    await until(lambda: not len(gateway.parts.evictor._evictions))
    live = [session for session in sessions if session.closing is None]
    assert len(live) == 2
    await until(lambda: all(session.slots.held for session in live))
    slots = gateway.parts.admission.stores.addresses
    key = live[0].info.client.limit_key
    assert not slots.acquire(key, 2), "they hold two places"
    for pair in pairs:
        pair.client.reset()
    await until(lambda: nobody_is_left(gateway))
    assert slots.acquire(key, 1), "and give each back only once"
    for task in answering:
        task.cancel()


@pytest.mark.parametrize("mode", ["observe", "off"])
async def test_nobody_is_ended_if_evictions_do_not_act(join: Join, log: GatewayLog, mode: str) -> None:
    pair = await join(EVICTIONS=mode, MAX_CONNECTIONS_PER_USER="1", **QUICK)
    answering = asyncio.create_task(answer(pair.studio, []))
    session = pair.session
    await until(lambda: session.is_dead(session._client.side))
    await asyncio.sleep(0.5)  # several looks; the time itself is what is tested
    assert session.closing is None
    assert session.slots.held
    expected = [("silent", "client_silent")] if mode == "observe" else []
    assert [(line["evidence"], line["cause"]) for line in log.lines("would_evict")] == expected
    evicted = pair.gateway.parts.evictor.evicted
    assert sum(evicted.values()) == len(expected)
    answering.cancel()
