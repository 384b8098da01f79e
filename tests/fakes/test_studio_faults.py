"""Each of Studio's WebSocket faults, as a client meets it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from memmie_fake_studio import FakeStudio

HEARTBEAT = '{"type":"heartbeat"}'


async def refusal(studio: FakeStudio, user_id: str = "u1") -> int | None:
    """Return the status an upgrade is refused with, or None where it succeeds."""
    try:
        async with connect(f"{studio.ws_url}?user_id={user_id}"):
            return None
    except InvalidStatus as error:
        return error.response.status_code


@pytest.mark.parametrize("status", [200, 401, 503])
async def test_refuse_answers_an_upgrade_with_a_status(http: Any, studio: FakeStudio, status: int) -> None:
    studio.script("refuse", status=status)
    assert await refusal(studio) == status
    async with http.get(f"{studio.url}/health") as response:
        assert response.status == 200


async def test_wrong_accept_fails_the_handshake(http: Any, studio: FakeStudio) -> None:
    studio.script("wrong_accept")
    with pytest.raises(InvalidHandshake, match="Sec-WebSocket-Accept"):
        await connect(f"{studio.ws_url}?user_id=u1")
    async with http.get(f"{studio.url}/health") as response:
        assert response.status == 200


async def test_http_faults_strike_upgrades(studio: FakeStudio) -> None:
    for fault in ("garbage", "reset"):
        studio.script(fault, route="/ws", times=1)
        with pytest.raises((InvalidHandshake, OSError)):
            await connect(f"{studio.ws_url}?user_id=u1")
    assert await refusal(studio) is None


async def test_faults_strike_the_user_they_are_scripted_for(studio: FakeStudio) -> None:
    studio.script("refuse", user_id="u1", times=1)
    assert await refusal(studio, "u2") is None
    assert await refusal(studio, "u1") == 503
    assert await refusal(studio, "u1") is None


async def test_drop_at_once_is_accept_then_reset(studio: FakeStudio, open_client: Any) -> None:
    studio.script("drop")
    async with open_client() as client:
        with pytest.raises(ConnectionClosed) as ending:
            await client.receive()
    assert ending.value.rcvd is None
    assert isinstance(ending.value.__cause__, ConnectionResetError)
    assert studio.log.entries("close")[0]["because"] == "fault drop"


async def test_drop_after_messages_has_answered_them(studio: FakeStudio, open_client: Any) -> None:
    studio.script("drop", how="fin", after_messages=3)
    async with open_client() as client:
        for number in range(3):
            assert (await client.ask(id=number, type="heartbeat"))["id"] == number
        with pytest.raises(ConnectionClosed) as ending:
            await client.receive()
    assert ending.value.rcvd is None


async def test_close_with_code_and_reason_after_messages(studio: FakeStudio, open_client: Any) -> None:
    studio.script("close", code=4999, reason="enough", after_messages=1)
    async with open_client() as client:
        assert (await client.ask(type="heartbeat"))["type"] == "ack"
        with pytest.raises(ConnectionClosed) as ending:
            await client.receive()
    assert ending.value.rcvd is not None
    assert (ending.value.rcvd.code, ending.value.rcvd.reason) == (4999, "enough")


UPGRADE = (
    b"GET /ws?user_id=u1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def bytes_after_the_handshake(studio: FakeStudio) -> bytes:
    """Return what a connection receives behind the 101 until it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", studio.port)
    try:
        writer.write(UPGRADE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return await reader.read(-1)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("parameters", "header", "payload"),
    [
        ({}, "82 7e 03e8", 10),
        ({"promised": 1, "sent": 0}, "82 01", 0),
        ({"promised": 125}, "82 7d", 10),
        ({"promised": 126}, "82 7e 007e", 10),
        ({"promised": 65_535}, "82 7e ffff", 10),
        ({"promised": 65_536}, "82 7f 0000000000010000", 10),
        ({"promised": 2**63 - 1}, "82 7f 7fffffffffffffff", 10),
    ],
)
async def test_truncate_announces_more_bytes_than_come(
    studio: FakeStudio, parameters: dict[str, Any], header: str, payload: int
) -> None:
    # RFC 6455 §5.2: a length in the shortest form, or it would be a protocol error instead.
    studio.script("truncate", **parameters)
    assert await bytes_after_the_handshake(studio) == bytes.fromhex(header) + bytes(payload)


async def test_truncate_can_end_with_a_reset(studio: FakeStudio) -> None:
    studio.script("truncate", how="rst")
    with pytest.raises(ConnectionResetError):
        await bytes_after_the_handshake(studio)


async def test_a_truncated_frame_is_no_protocol_error(studio: FakeStudio, open_client: Any) -> None:
    studio.script("truncate")
    async with open_client() as client:
        with pytest.raises(ConnectionClosed) as ending:
            await client.receive()
    assert (ending.value.rcvd, ending.value.sent) == (None, None)
    assert isinstance(ending.value.__cause__, EOFError)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"promised": 10}, "promised: 10 is given; allowed: 11 or more"),
        ({"promised": 2**63}, "promised: 9223372036854775808 is given; allowed: at most 9223372036854775807"),
        ({"sent": -1}, "sent: -1 is given; allowed: 0 or more"),
        ({"sent": 1024 * 1024 + 1}, "sent: 1048577 is given; allowed: at most 1048576"),
    ],
)
def test_invalid_parameters_of_truncate_are_refused(parameters: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        FakeStudio().script("truncate", **parameters)


async def test_a_frozen_connection_reads_nothing(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client, open_client() as other:
        frozen = studio.connections[0]
        studio.script("freeze", connection=frozen.id)
        await client.send(type="heartbeat")
        for _ in range(3):
            assert (await other.ask(type="heartbeat"))["type"] == "ack"
        assert frozen.received == 0
        # It still writes, as only its reading has stopped.
        await studio.emit("u1", "event")
        assert (await client.receive())["type"] == "event"
        frozen.abort()


async def test_a_frozen_connection_stays_frozen_when_its_client_catches_up(
    studio: FakeStudio, open_client: Any
) -> None:
    async with open_client(max_size=None) as client:
        client.ws.transport.pause_reading()
        # More than the sockets hold: reading is paused for the slow client, too.
        await studio.emit("u1", "event", "x" * 100_000, count=150)
        frozen = studio.connections[0]
        studio.script("freeze", connection=frozen.id)
        client.ws.transport.resume_reading()
        for _ in range(150):
            await client.receive()
        await client.send(type="heartbeat")
        with pytest.raises(TimeoutError):
            await studio.log.wait_for("message", seconds=0.1)
        frozen.abort()


async def test_a_connection_can_freeze_after_messages(studio: FakeStudio, open_client: Any) -> None:
    studio.script("freeze", after_messages=1)
    async with open_client() as client:
        assert (await client.ask(type="heartbeat"))["type"] == "ack"
        await client.send(type="heartbeat")
        with pytest.raises(TimeoutError):
            await studio.log.wait_for("message", count=2, seconds=0.1)
        studio.connections[0].abort()


async def test_ignored_pings_get_no_pong_but_messages_an_answer(studio: FakeStudio, open_client: Any) -> None:
    studio.script("ignore_pings")
    async with open_client() as client:
        pong = await client.ws.ping()
        assert (await client.ask(type="heartbeat"))["type"] == "ack"
        assert not pong.done()
        pong.cancel()


async def test_drip_slows_frames_down(studio: FakeStudio, open_client: Any) -> None:
    studio.script("drip", bytes_per_second=10_000, route="/ws/echo")
    async with open_client(path="/ws/echo") as client:
        begun = time.monotonic()
        await client.ws.send(b"x" * 3000)
        assert await client.ws.recv() == b"x" * 3000
        assert time.monotonic() - begun >= 0.2


async def test_a_burst_arrives_in_order(studio: FakeStudio, open_client: Any) -> None:
    studio.script("burst", count=200, size=100, after_messages=1)
    async with open_client() as client:
        assert (await client.ask(type="heartbeat"))["type"] == "ack"
        numbers = [(await client.receive())["data"]["number"] for _ in range(200)]
        assert numbers == list(range(200))


async def test_faults_of_one_connection_are_bounded(studio: FakeStudio, open_client: Any) -> None:
    async with open_client():
        (connection,) = studio.connections
        for _ in range(100):
            studio.script("freeze", connection=connection.id, after_messages=1)
        with pytest.raises(ValueError, match="already has 100 faults that wait for a message"):
            studio.script("freeze", connection=connection.id, after_messages=1)


async def test_after_every_fault_the_next_client_is_served(studio: FakeStudio, open_client: Any) -> None:
    for fault in ("refuse", "wrong_accept", "drop", "truncate", "close", "garbage", "reset", "html", "error"):
        studio.script(fault, times=1)
        try:
            async with open_client() as client:
                await client.receive()
        except (ConnectionClosed, InvalidHandshake, OSError):
            pass
        else:
            pytest.fail(f"{fault} did not strike")
        async with open_client() as client:
            assert (await client.ask(type="heartbeat"))["type"] == "ack"
