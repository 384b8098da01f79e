"""A client that sends faster than its quota: held back and not lost, also at every kind of end (spec §8)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.net.pair import GatewayLog, Join, Pair, StartGateway, nobody_is_left, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.test_splice_properties import Stream, send, streams

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.net.sessions import held
from memmie_gateway.net.sessions.session import Session
from memmie_harness.conformance.peers import (
    BINARY,
    CLOSE,
    MASK,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    Peer,
    build,
    upgrade_request,
)

Dialled = Callable[..., Awaitable[Peer]]

QUICK = {"MESSAGE_RATE_PER_USER": "1000", "MESSAGE_BURST_PER_USER": "100"}
"""A quota whose waiting takes little of a test's time."""

SLOW = {"MESSAGE_RATE_PER_USER": "20", "MESSAGE_BURST_PER_USER": "2"}
"""A quota that holds for long."""

_LATE = 0.05
"""Seconds by which the clocks of a loop and of the test may differ."""


def numbered(client: Peer, count: int, start: int = 0) -> bytes:
    return b"".join(client.frame(TEXT, f"{number:06}") for number in range(start, start + count))


@dataclass
class Witness:
    """Reads what arrives at Studio; `pace` is the quota that it must not exceed, from the time of its making on."""

    studio: Peer
    rate: float
    burst: int
    began: float = field(default_factory=time.monotonic)
    frames: int = 0

    async def read(self, count: int) -> list[int]:
        """Read so many numbered messages."""
        numbers = []
        for _ in range(count):
            opcode, payload = await self.studio.read_message()
            assert opcode == TEXT
            numbers.append(int(payload))
            self.note()
        return numbers

    def note(self, frames: int = 1) -> None:
        """Count what has arrived, and see that it was not faster than the quota."""
        self.frames += frames
        assert self.frames <= self.burst + self.rate * (time.monotonic() - self.began + _LATE)


def quick(pair: Pair) -> Witness:
    return Witness(pair.studio, 1000, 100)


def slow(pair: Pair) -> Witness:
    return Witness(pair.studio, 20, 2)


# What waits.


async def test_many_messages_in_one_read_are_forwarded_at_the_pace_of_the_quota_and_answered(
    join: Join,
) -> None:
    pair = await join(**QUICK)
    witness = quick(pair)
    pair.client.write(numbered(pair.client, 800))
    assert await witness.read(800) == list(range(800))
    assert time.monotonic() - witness.began > 0.6
    for number in range(800):
        pair.studio.send(TEXT, f"{number}")
    assert [await pair.client.read_message() for _ in range(800)] == [(TEXT, b"%d" % n) for n in range(800)]
    assert not pair.session._client.held
    assert pair.session.closing is None


async def test_studio_is_told_things_between_two_frames_that_wait(join: Join) -> None:
    """A ping of the gateway's own does not land inside a message that was cut."""
    pair = await join(PING_INTERVAL_SECONDS="0.1", PING_TIMEOUT_SECONDS="10", **SLOW)
    pair.client.write(pair.client.frame(BINARY, bytes(300)) * 12)
    opcodes = [(await pair.studio.read_frame()).opcode for _ in range(13)]
    assert sorted(opcodes) == [BINARY] * 12 + [PING]


async def test_a_flooder_that_connects_again_and_again_gets_no_more_than_its_quota(
    start_gateway: StartGateway, auth: FakeAuth, studio: ScriptedStudio, dial: Dialled
) -> None:
    """Every new connection found a full quota, or paid after it had been read: 918 times the limit."""
    gateway = await start_gateway(**QUICK)
    began = time.monotonic()
    count = 0

    async def read(end: Peer) -> None:
        nonlocal count
        while (await end.read_frame()).opcode != CLOSE:
            count += 1
            assert count <= 100 + 1000 * (time.monotonic() - began + _LATE)

    async with asyncio.TaskGroup() as reading:
        for _ in range(10):
            client = await dial(gateway)
            client.write(upgrade_request(auth.mint("u1")) + numbered(client, 150))
            end = await studio.arrival()
            accept(end)
            reading.create_task(read(end))
            await client.read_head()
            client.leave()
    assert count == 10 * 150


async def test_the_next_connection_of_a_user_in_debt_starts_held(
    join: Join, auth: FakeAuth, dial: Dialled, studio: ScriptedStudio
) -> None:
    pair = await join(**SLOW)
    witness = slow(pair)
    pair.client.write(numbered(pair.client, 12))
    await until(lambda: pair.session._client.held)
    first = pair.session

    client = await dial(pair.gateway)
    client.write(upgrade_request(auth.mint("u1")))
    end = await studio.arrival()
    accept(end)
    assert (await client.read_head()).status == 101
    (second,) = set(sessions_of(pair.gateway)) - {first}
    assert (second._client.held, second._client.transport.is_reading()) == (True, False)
    client.write(client.frame(TEXT, "99"))
    assert await end.read_message() == (TEXT, b"99")  # in its turn, not after all of the first
    assert first._client.held
    assert await witness.read(12) == list(range(12))
    await until(lambda: not (first._client.held or second._client.held))

    other = await join(pair.gateway, user="u2")
    assert not next(s for s in sessions_of(pair.gateway) if s not in (first, second))._client.held
    await other.exchange()


@pytest.mark.parametrize("size", [10, 100_000])
async def test_what_came_with_the_handshake_of_a_user_in_debt_waits(
    join: Join, auth: FakeAuth, dial: Dialled, studio: ScriptedStudio, size: int
) -> None:
    pair = await join(**SLOW)
    pair.client.write(numbered(pair.client, 6))
    await until(lambda: pair.session._client.held)
    client = await dial(pair.gateway)
    early = [client.frame(BINARY, bytes(size)), client.frame(TEXT, "behind it")]
    client.write(upgrade_request(auth.mint("u1")) + b"".join(early))
    end = await studio.arrival()
    accept(end)
    assert (await client.read_head()).status == 101
    assert await end.read_message() == (BINARY, bytes(size))
    assert await end.read_message() == (TEXT, b"behind it")


async def test_a_frame_that_has_begun_is_forwarded_to_its_end(join: Join) -> None:
    """Also if only a part of its header has come, which the scanner holds back."""
    pair = await join(MESSAGE_RATE_PER_USER="5", MESSAGE_BURST_PER_USER="1")
    witness = Witness(pair.studio, 5, 1)
    frame = pair.client.frame(TEXT, "000000")
    for cut in (1, 5):
        seen = pair.session._client.scanner.received + cut
        pair.client.write(frame[:cut])
        await until(partial(has_received, pair.session, seen))
        pair.client.write(frame[cut:] + frame)
        assert await witness.read(2) == [0, 0]
        await until(lambda: not pair.session._client.held)


def has_received(session: Session, count: int) -> bool:
    return session._client.scanner.received == count


# The bound.


async def test_what_would_wait_too_long_ends_the_session_and_the_quota_is_forwarded_before(
    join: Join, log: GatewayLog
) -> None:
    pair = await join(MESSAGE_RATE_MAX_DELAY_SECONDS="2", **SLOW)
    witness = slow(pair)
    pair.client.write(numbered(pair.client, 2 + 2 * 20 + 10))
    assert await witness.read(2) == [0, 1]
    assert (await pair.studio.read_close())[0] == 1001
    pair.studio.send_close(1001)
    assert await pair.client.read_close() == (1008, "sending messages too fast")
    pair.client.send_close(1008)
    assert await pair.client.read_rest() == b""
    await until(lambda: nobody_is_left(pair.gateway))
    assert [line["cause"] for line in log.lines("closed")] == ["message_rate_exceeded"]


async def test_what_was_forwarded_is_answered_before_the_client_is_told(join: Join) -> None:
    """2,000 messages at once ended with 1,724 forwarded, no answer, and 1008."""
    pair = await join(MESSAGE_RATE_MAX_DELAY_SECONDS="2", **SLOW)
    pair.client.write(numbered(pair.client, 100))
    assert await slow(pair).read(2) == [0, 1]
    assert (await pair.studio.read_close())[0] == 1001
    for answer in ("0", "1"):
        pair.studio.send(TEXT, answer)
    pair.studio.send_close(1001)
    assert [await pair.client.read_message() for _ in range(2)] == [(TEXT, b"0"), (TEXT, b"1")]
    assert (await pair.client.read_close())[0] == 1008


async def test_the_close_of_a_client_that_is_ended_for_its_rate_is_found_behind_what_is_dropped(
    join: Join, log: GatewayLog
) -> None:
    """So nobody waits for the close time-out, which is 60 s here."""
    pair = await join(MESSAGE_RATE_MAX_DELAY_SECONDS="2", **SLOW)
    pair.client.write(numbered(pair.client, 100) + pair.client.frame(CLOSE))
    assert [await pair.studio.read_message() for _ in range(2)] == [(TEXT, b"000000"), (TEXT, b"000001")]
    await pair.studio.read_close()
    pair.studio.send_close(1001)
    assert (await pair.client.read_close())[0] == 1008
    assert await pair.client.read_rest() == b""
    await until(lambda: nobody_is_left(pair.gateway))
    assert [line["cause"] for line in log.lines("closed")] == ["message_rate_exceeded"]


async def test_what_the_kernel_holds_does_not_count_for_the_bound(join: Join) -> None:
    """Ten times the bound, sent at once: what is not read does not wait in the gateway, so nobody is ended."""
    pair = await join(
        MESSAGE_RATE_PER_USER="2000", MESSAGE_BURST_PER_USER="10", MESSAGE_RATE_MAX_DELAY_SECONDS="0.1"
    )
    witness = Witness(pair.studio, 2000, 10)
    message = pair.client.frame(BINARY, bytes(4000))  # at most 66 of them in one read, 200 may wait
    sending = asyncio.create_task(pair.client.writer.drain())
    pair.client.write(message * 2000)
    for _ in range(2000):
        await pair.studio.read_message()
        witness.note()
    await sending
    assert pair.session.closing is None


# A held side is alive.


async def test_a_held_client_is_not_judged_by_its_pong(join: Join) -> None:
    """Its pong is behind what waits, for several time-outs."""
    pair = await join(PING_INTERVAL_SECONDS="0.1", PING_TIMEOUT_SECONDS="0.3", **SLOW)
    studio_reads = asyncio.create_task(answer_pings(pair.studio, 30))
    frame = await pair.client.read_frame()
    assert frame.opcode == PING
    pair.client.write(numbered(pair.client, 30) + pair.client.frame(PONG, frame.payload))
    client_reads = asyncio.create_task(answer_pings(pair.client, None))
    assert await studio_reads == [b"%06d" % n for n in range(30)]
    assert pair.session.closing is None
    client_reads.cancel()


async def answer_pings(end: Peer, count: int | None) -> list[bytes]:
    """Read so many messages, and answer each ping between them."""
    messages: list[bytes] = []
    while count is None or len(messages) < count:
        frame = await end.read_frame()
        if frame.opcode == PING:
            end.send(PONG, frame.payload)
        elif frame.opcode == TEXT:
            messages.append(frame.payload)
    return messages


@pytest.mark.parametrize("leave", [Peer.reset, Peer.leave], ids=["reset", "finished"])
async def test_a_client_that_is_gone_is_noticed_while_it_is_held(
    join: Join, log: GatewayLog, monkeypatch: pytest.MonkeyPatch, leave: Callable[[Peer], None]
) -> None:
    """Nobody reads from it, so no read tells that it is gone. What it sent would be forwarded for 1.9 s."""
    monkeypatch.setattr(held, "WATCH_SECONDS", 0.1)
    pair = await join(
        MESSAGE_RATE_MAX_DELAY_SECONDS="1", MESSAGE_RATE_PER_USER="100", MESSAGE_BURST_PER_USER="2"
    )
    session = pair.session
    pair.client.write(numbered(pair.client, 95))
    await until(lambda: session._client.held)
    pair.client.write(numbered(pair.client, 98, start=95))
    await pair.client.writer.drain()
    leave(pair.client)
    received = []
    while (frame := await pair.studio.read_frame()).opcode == TEXT:
        received.append(int(frame.payload))
    assert received == list(range(len(received)))
    assert len(received) < 150
    pair.studio.leave()
    assert (await log.line("closed"))["cause"] == "client_gone"


# The ends.


async def test_a_drain_loses_nothing_that_waits(join: Join, log: GatewayLog) -> None:
    """50 of 1,150 messages were lost."""
    pair = await join(MESSAGE_RATE_PER_USER="100", MESSAGE_BURST_PER_USER="200")
    pair.client.write(numbered(pair.client, 1000))
    await until(lambda: pair.session._client.held)
    started = time.monotonic()
    stopping = asyncio.create_task(pair.gateway.stop())
    pair.client.write(numbered(pair.client, 150, start=1000))
    assert [int((await pair.studio.read_message())[1]) for _ in range(1150)] == list(range(1150))
    assert await pair.client.read_close() == (1001, "the gateway is shutting down")
    pair.client.write(numbered(pair.client, 300))  # until its Close, the quota does not hold
    pair.client.send_close(1001)
    assert [int((await pair.studio.read_message())[1]) for _ in range(300)] == list(range(300))
    assert await pair.studio.read_close() == (1001, "")
    pair.studio.send_close(1001)
    await stopping
    assert time.monotonic() - started < 5
    assert log.lines("closed")[-1]["cause"] == "shutting_down"


async def test_a_drain_does_not_wait_for_the_quota_of_a_client_that_is_gone(
    join: Join, log: GatewayLog
) -> None:
    pair = await join(**SLOW)
    pair.client.write(numbered(pair.client, 500))
    await until(lambda: pair.session._client.held)
    pair.client.reset()
    await lost_while_held(pair.session, pair)
    stopping = asyncio.create_task(pair.gateway.stop())
    assert [int((await pair.studio.read_message())[1]) for _ in range(500)] == list(range(500))
    assert (await pair.studio.read_close())[0] == 1001
    pair.studio.send_close(1001)
    await stopping
    assert len(log.lines("closed")) == 1


async def lost_while_held(session: Session, pair: Pair) -> None:
    """Wait until the gateway knows that the client is gone; a write tells it."""
    while not session._client.transport.is_closing():
        pair.studio.send(TEXT, "are you there?")
        await asyncio.sleep(0.01)
    assert session.closing is None


async def test_a_close_behind_what_waits_comes_after_it(join: Join, log: GatewayLog) -> None:
    pair = await join(**SLOW)
    witness = slow(pair)
    pair.client.write(numbered(pair.client, 12) + pair.client.frame(CLOSE, b"\x0f\xa1done"))
    assert await witness.read(12) == list(range(12))
    assert await pair.studio.read_close() == (4001, "done")
    pair.studio.send_close(4001)
    assert (await pair.client.read_close())[0] == 4001
    await until(lambda: nobody_is_left(pair.gateway))
    assert [line["cause"] for line in log.lines("closed")] == ["client_closed"]


@pytest.mark.parametrize("how", ["finished", "lost"])
async def test_a_client_that_leaves_keeps_its_place_until_what_it_sent_is_forwarded(
    join: Join, auth: FakeAuth, dial: Dialled, how: str
) -> None:
    pair = await join(MAX_CONNECTIONS_PER_USER="1", **SLOW)
    witness = slow(pair)
    session = pair.session
    pair.client.write(numbered(pair.client, 30))
    await until(lambda: session._client.held)
    if how == "lost":
        pair.client.reset()
        await lost_while_held(session, pair)
    else:
        pair.client.leave()
    again = await dial(pair.gateway)
    again.write(upgrade_request(auth.mint("u1")))
    assert (await again.read_head()).status == 429
    assert await witness.read(30) == list(range(30))
    assert (await pair.studio.read_close())[0] == 1001
    assert not session.slots.held
    pair.studio.leave()


async def test_a_client_that_takes_nothing_is_ended_but_what_it_sent_is_forwarded(join: Join) -> None:
    """It is dead although it still sends; its bytes come at the pace of the quota all the same."""
    pair = await join(
        PING_INTERVAL_SECONDS="0.2", PING_TIMEOUT_SECONDS="0.2", limit=1024, receive_buffer=4096, **SLOW
    )
    witness = slow(pair)
    session = pair.session
    pair.studio.write(pair.studio.frame(BINARY, bytes(1 << 20)) * 8)
    await until(lambda: session._backend.held)
    pair.client.write(numbered(pair.client, 40))
    await until(lambda: session._client.held)
    numbers = []
    while (frame := await pair.studio.read_frame()).opcode != CLOSE:
        if frame.opcode == PING:
            pair.studio.send(PONG, frame.payload)
            continue
        numbers.append(int(frame.payload))
        witness.note()
    assert numbers == list(range(40))
    assert session._client.transport.is_closing()


@pytest.mark.parametrize("gone", [False, True])
async def test_what_waits_for_a_studio_that_is_gone_keeps_nobody(
    join: Join, log: GatewayLog, *, gone: bool
) -> None:
    pair = await join(**SLOW)
    pair.client.write(numbered(pair.client, 500))
    await until(lambda: pair.session._client.held)
    if gone:
        pair.client.reset()
        await lost_while_held(pair.session, pair)
    pair.studio.reset()
    if not gone:
        assert await pair.client.read_close() == (1012, "Studio is gone, reconnect")
        pair.client.send_close(1012)
    await until(lambda: nobody_is_left(pair.gateway))
    assert len(log.lines("closed")) == 1


async def test_a_studio_that_closes_gets_the_answer_that_is_behind_what_waits(join: Join) -> None:
    pair = await join(**SLOW)
    pair.client.write(numbered(pair.client, 200))
    await until(lambda: pair.session._client.held)
    pair.studio.send_close(1000, "that is all")
    assert await pair.client.read_close() == (1000, "that is all")
    pair.client.send_close(1000)
    assert [int((await pair.studio.read_message())[1]) for _ in range(200)] == list(range(200))
    assert (await pair.studio.read_close())[0] == 1000
    await until(lambda: nobody_is_left(pair.gateway))


async def test_a_violation_behind_what_waits_is_found_after_it(join: Join, log: GatewayLog) -> None:
    pair = await join(**SLOW)
    witness = slow(pair)
    pair.client.write(numbered(pair.client, 8) + b"\x83\x80mask" + numbered(pair.client, 50))
    assert await witness.read(8) == list(range(8))
    assert (await pair.studio.read_close())[0] == 1001
    pair.studio.send_close(1001)
    assert (await pair.client.read_close())[0] == 1002
    pair.client.leave()
    await until(lambda: nobody_is_left(pair.gateway))
    assert [line["cause"] for line in log.lines("closed")] == ["protocol_error"]


async def test_who_does_not_wait_any_more_leaves_the_whole_quota_to_others(join: Join) -> None:
    """However a session ends: the number of those that wait is right afterwards."""
    pair = await join(**SLOW)
    session = pair.session
    bucket = session._client._bucket
    assert bucket is not None
    pair.client.write(numbered(pair.client, 20))
    await until(lambda: session._client.held)
    assert bucket.waiting == 1
    session.abort()
    await until(lambda: not session._client.held)
    assert bucket.waiting == 0
    pair.studio.leave()
    await until(lambda: nobody_is_left(pair.gateway))


# Whatever comes.


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(MESSAGE_RATE_PER_USER="500", MESSAGE_BURST_PER_USER="3")


@settings(
    max_examples=25,
    deadline=None,
    # One gateway serves all examples; too_slow: drawing large streams is slow, sending them is not.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@example(up=Stream(build(PING, b"p" * 10, mask=MASK) * 60, [], 0), end="close")
@example(up=Stream(build(TEXT, b"t" * 300, mask=MASK) * 40, list(range(0, 5000, 7)), 40), end="leave")
@given(up=streams(mask=True), end=st.sampled_from(["stay", "close", "leave"]))
async def test_what_arrives_is_byte_identical_and_not_faster_than_the_quota(
    gateway: Gateway, join: Join, up: Stream, end: str
) -> None:
    began = time.monotonic()
    pair = await join(gateway, user=f"u{began}")
    await send(pair.client, up)
    if end == "close":
        pair.client.send_close(1000)
    elif end == "leave":
        pair.client.finish()
    received, frames = b"", 0
    async with asyncio.timeout(PATIENCE):
        while len(received) < len(up.data):
            received += (await pair.studio.read_frame()).raw
            frames += 1
            assert frames <= 3 + 500 * (time.monotonic() - began + _LATE)
    assert received == up.data
    if end != "stay":
        assert (await pair.studio.read_close())[0] == (1000 if end == "close" else 1001)
    pair.client.leave()
    pair.studio.leave()
