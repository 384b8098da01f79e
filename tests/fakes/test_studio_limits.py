"""Studio's limits (spec §4): sizes, pings, slow clients; and what it never loses."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest
from tests.clock import loop_clock
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from memmie_fake_studio import FakeStudio

MIB = 1024 * 1024


async def close_code(client: Any) -> int | None:
    with pytest.raises(ConnectionClosed) as ending:
        await client.ws.recv()
    return int(ending.value.rcvd.code) if ending.value.rcvd else None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, MIB])
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_the_echo_returns_every_size_unchanged(studio: FakeStudio, size: int, compression: Any) -> None:
    async with connect(f"{studio.ws_url}/echo", max_size=None, compression=compression) as client:
        for message in (b"\xfe" * size, "é" * (size // 2)):
            await client.send(message)
            assert await client.recv() == message


async def test_an_echoing_studio_echoes_on_ws(open_client: Any) -> None:
    async with FakeStudio(echo=True) as studio, open_client(at=studio) as client:
        await client.ws.send(["frag", "men", "ted"])
        assert await client.ws.recv() == "fragmented"


@pytest.mark.parametrize("parts", [[b"x" * (MIB + 1)], [b"x" * MIB, b"x"]])
async def test_a_message_over_the_limit_is_closed_1009(open_client: Any, parts: list[bytes]) -> None:
    async with open_client(path="/ws/echo") as client:
        await client.ws.send(parts)
        assert await close_code(client) == 1009


async def test_text_that_is_no_utf8_is_closed_1007(open_client: Any) -> None:
    async with open_client() as client:
        await client.ws.send(b"\xff", text=True)
        assert await close_code(client) == 1007


async def test_a_violation_of_the_protocol_is_closed_1002(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client:
        client.ws.transport.write(b"\x81\x02hi")  # an unmasked client frame, RFC 6455 §5.1
        assert await close_code(client) == 1002
    entry = await studio.log.wait_for("close")
    assert (entry["code"], entry["closed_by"]) == (1002, "studio")


async def test_studio_pings_and_a_client_that_answers_stays(open_client: Any) -> None:
    async with (
        FakeStudio(ping_interval_seconds=0.02, pong_timeout_seconds=30) as studio,
        open_client(at=studio),
    ):
        with loop_clock() as clock:
            for _ in range(3):
                pongs = len(studio.log.entries("control"))
                entry = await studio.log.wait_for("control", count=pongs + 1)
                assert entry["opcode"] == "pong"
                clock.put_forward(20)  # two of them are longer than a client without a pong may stay


async def test_a_client_that_sends_no_pong_is_cut(open_client: Any) -> None:
    async with (
        FakeStudio(ping_interval_seconds=0.02, pong_timeout_seconds=0.1) as studio,
        open_client(at=studio) as client,
    ):
        # The client library answers pings by itself, unless it does not read.
        client.ws.transport.pause_reading()
        entry = await studio.log.wait_for("close")
        assert (entry["because"], entry["code"], entry["closed_by"]) == (
            "no pong came in time",
            1006,
            "studio",
        )
        client.ws.transport.resume_reading()


async def test_a_client_that_lets_its_queue_fill_is_disconnected(open_client: Any) -> None:
    async with FakeStudio(queue_messages=4) as studio, open_client(at=studio, max_size=None) as client:
        client.ws.transport.pause_reading()
        sent = 0
        while studio.connections and sent < 200:
            sent += await studio.emit("u1", "big.event", "x" * 100_000)
            await asyncio.sleep(0)
        entry = await studio.log.wait_for("close")
        assert entry["because"] == "the queue of 4 messages is full"
        client.ws.transport.resume_reading()


async def test_events_that_waited_arrive_in_order(studio: FakeStudio, open_client: Any) -> None:
    async with open_client(max_size=None) as client:
        client.ws.transport.pause_reading()
        for number in range(100):
            await studio.emit("u1", "numbered", {"number": number, "padding": "x" * 100_000})
        client.ws.transport.resume_reading()
        assert [(await client.receive())["data"]["number"] for _ in range(100)] == list(range(100))


async def test_closing_sends_the_events_that_wait_first(studio: FakeStudio, open_client: Any) -> None:
    async with open_client(max_size=None) as client:
        client.ws.transport.pause_reading()
        for number in range(100):
            await studio.emit("u1", "numbered", {"number": number, "padding": "x" * 100_000})
        studio.connections[0].close(4000, "enough")
        client.ws.transport.resume_reading()
        assert [(await client.receive())["data"]["number"] for _ in range(100)] == list(range(100))
        assert await close_code(client) == 4000


async def test_a_client_that_lets_bytes_wait_too_long_is_cut(open_client: Any) -> None:
    async with (
        FakeStudio(write_timeout_seconds=0.1) as studio,
        open_client(at=studio, max_size=None) as client,
    ):
        client.ws.transport.pause_reading()
        await studio.emit("u1", "big.event", "x" * 900_000, count=20)
        assert (await studio.log.wait_for("close"))["because"] == "the client read too slowly"
        client.ws.transport.resume_reading()


async def test_a_client_that_does_not_read_its_replies_is_not_read_and_loses_none(
    studio: FakeStudio, open_client: Any
) -> None:
    async with open_client(path="/ws/echo", max_size=None) as client:
        client.ws.transport.pause_reading()
        messages = [bytes([number]) * 200_000 for number in range(100)]
        sending = asyncio.create_task(send_all(client, messages))
        # Studio stops reading long before all 20 MB are in: sockets and buffers hold a few.
        await studio.log.wait_for("message", count=5)
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done
        assert studio.connections[0].received < 100
        client.ws.transport.resume_reading()
        assert [await client.ws.recv() for _ in messages] == messages
        await sending


async def send_all(client: Any, messages: list[bytes]) -> None:
    for message in messages:
        await client.ws.send(message)


async def test_messages_sent_just_before_a_client_vanishes_are_received(
    studio: FakeStudio, open_client: Any
) -> None:
    async with open_client() as client:
        for number in range(100):
            await client.send(id=number, type="heartbeat")
        client.ws.transport.write_eof()
        entry = await studio.log.wait_for("close")
    assert (entry["received"], entry["closed_by"], entry["code"]) == (100, "client", 1006)


async def test_a_close_handshake_that_is_not_finished_is_cut(open_client: Any) -> None:
    async with FakeStudio(close_timeout_seconds=0.1) as studio, open_client(at=studio) as client:
        client.ws.transport.pause_reading()
        studio.connections[0].close(1000)
        assert (await studio.log.wait_for("close"))["because"] == "the closing handshake took too long"
        client.ws.transport.resume_reading()


async def test_the_log_tells_messages_apart_and_says_who_closed(studio: FakeStudio, open_client: Any) -> None:
    big = json.dumps({"type": "x", "padding": "y" * 300})
    async with open_client() as client:
        await client.ask(type="heartbeat")
        await client.ws.send(big)
        await client.ws.recv()
        await client.ws.close(4242, "done here")
    small, large = studio.log.entries("message")
    assert (small["opcode"], small["text"]) == ("text", '{"type": "heartbeat"}')
    assert (large["size"], large["sha256"]) == (len(big), hashlib.sha256(big.encode()).hexdigest())
    assert "text" not in large
    entry = await studio.log.wait_for("close")
    assert (entry["code"], entry["reason"], entry["closed_by"], entry["clean"]) == (
        4242,
        "done here",
        "client",
        True,
    )
    assert (entry["received"], entry["sent"]) == (2, 2)


async def test_the_log_is_a_ring(open_client: Any) -> None:
    async with FakeStudio(log_entries=5) as studio, open_client(at=studio) as client:
        for _ in range(10):
            await client.ask(type="heartbeat")
        assert (len(studio.log), studio.log.forgotten) == (5, 7)


async def test_message_logging_can_be_switched_off(open_client: Any) -> None:
    async with FakeStudio(log_messages=False) as studio, open_client(at=studio) as client:
        await client.ask(type="heartbeat")
        assert {entry["kind"] for entry in studio.log} == {"request", "connect"}


async def test_opcode_of_a_ping_is_logged(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client:
        await (await client.ws.ping(b"12"))
    entry = studio.log.entries("control")[0]
    assert (entry["opcode"], entry["size"]) == (Opcode.PING.name.lower(), 2)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"auth_url": "localhost:8001"}, "auth_url: 'localhost:8001' is given"),
        ({"ping_interval_seconds": -1}, "ping_interval_seconds: -1 is given"),
        ({"write_timeout_seconds": 0}, "write_timeout_seconds: 0 is given"),
        ({"max_message_bytes": 0}, "max_message_bytes: 0 is given"),
        ({"queue_messages": 0}, "queue_messages: 0 is given"),
        ({"max_items": 0}, "blobs: a limit of 0 is given"),
    ],
)
def test_bad_settings_are_refused(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        FakeStudio(**setting)
