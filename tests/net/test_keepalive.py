"""Pings of the gateway's own: between frames, to the silent, unseen by the other end; and who is given up."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.pair import GatewayLog, Join, nobody_is_left, until

from memmie_harness.conformance.peers import BINARY, CONT, PING, PONG, TEXT, Peer

INTERVAL = 0.1
PINGS = {"PING_INTERVAL_SECONDS": str(INTERVAL), "PING_TIMEOUT_SECONDS": "5"}
QUICK = {"PING_INTERVAL_SECONDS": "0.1", "PING_TIMEOUT_SECONDS": "0.2"}


def both(end: str, client: Peer, studio: Peer) -> tuple[Peer, Peer]:
    """Return the end in question, and the other."""
    return (client, studio) if end == "client" else (studio, client)


@pytest.mark.parametrize("end", ["client", "studio"])
async def test_a_silent_side_is_pinged_and_its_pong_goes_no_further(join: Join, end: str) -> None:
    """`read_frame` sees to it that the ping is masked towards Studio, and only there."""
    pair = await join(**PINGS)
    silent, _ = both(end, pair.client, pair.studio)
    first = await silent.read_frame()
    assert (first.opcode, first.fin, len(first.payload)) == (PING, True, 8)
    silent.send(PONG, first.payload)
    second = await silent.read_frame()
    assert second.opcode == PING
    assert second.payload != first.payload
    silent.send(PONG, second.payload)
    silent.send(TEXT, "this is what the other end sees")
    other_frames = await frames_until_text(both(end, pair.client, pair.studio)[1])
    assert PONG not in other_frames


async def frames_until_text(end: Peer) -> list[int]:
    """Read up to the next message, and return the opcodes of what came before it."""
    opcodes = []
    while (frame := await end.read_frame()).opcode != TEXT:
        opcodes.append(frame.opcode)
    return opcodes


@pytest.mark.parametrize("end", ["client", "studio"])
async def test_pings_and_pongs_of_the_ends_pass(join: Join, end: str) -> None:
    pair = await join()
    asks, answers = both(end, pair.client, pair.studio)
    asks.send(PING, b"are you there?")
    assert await answers.read_message() == (PING, b"are you there?")
    answers.send(PONG, b"are you there?")
    answers.send(PONG, b"unasked for")
    answers.send(PONG)
    for payload in (b"are you there?", b"unasked for", b""):
        assert await asks.read_message() == (PONG, payload)


async def test_a_pong_that_the_gateway_did_not_wait_for_passes_while_it_waits(join: Join) -> None:
    pair = await join(**PINGS)
    ping = await pair.client.read_frame()
    pair.client.send(PONG, b"other")
    pair.client.send(PONG, ping.payload)
    pair.client.send(PONG, ping.payload)  # a second one is not the gateway's any more
    frames: list[bytes] = []
    while len(frames) < 2:
        frame = await pair.studio.read_frame()
        if frame.opcode == PONG:
            frames.append(frame.payload)
    assert frames == [b"other", ping.payload]


async def test_a_side_that_speaks_is_not_pinged(join: Join) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    pair = await join(**PINGS)
    end = loop.time() + 6 * INTERVAL
    number = 0
    spoken = {pair.client: [began], pair.studio: [began]}

    async def say(speaker: Peer, listener: Peer) -> None:
        spoken[speaker].append(loop.time())
        speaker.send(TEXT, str(number))
        while (message := await listener.read_message())[0] == PING:
            # On a busy machine this test itself may have been held up, and its end was silent for so long indeed.
            # What it said last may have come after the ping, so that only what it said before counts.
            assert loop.time() - spoken[listener][-2:][0] > INTERVAL * 0.9
            listener.send(PONG, message[1])
        assert message == (TEXT, str(number).encode())

    while loop.time() < end:
        number += 1
        await say(pair.client, pair.studio)
        await say(pair.studio, pair.client)


async def test_no_ping_lands_inside_a_frame(join: Join) -> None:
    """The client is silent while Studio takes long over one frame: the ping waits for the end of it."""
    pair = await join(**PINGS)
    frame = pair.studio.frame(BINARY, bytes(100))
    loop = asyncio.get_running_loop()
    end = loop.time() + 4 * INTERVAL
    sent = 50
    pair.studio.write(frame[:sent])
    assert await pair.client.read(sent) == frame[:sent]
    while loop.time() < end:  # Studio is alive: a byte now and then
        pair.studio.write(frame[sent : sent + 1])
        assert await pair.client.read(1) == frame[sent : sent + 1]
        sent += 1
        if sent == len(frame) - 1:
            break
        await asyncio.sleep(INTERVAL / 10)
    pair.studio.write(frame[sent:])
    assert await pair.client.read(len(frame) - sent) == frame[sent:]
    assert (await pair.client.read_frame()).opcode == PING


async def test_a_ping_may_stand_between_two_fragments(join: Join) -> None:
    pair = await join(**PINGS)
    pair.studio.send(TEXT, "begun", fin=False)
    assert (await pair.client.read_frame()).payload == b"begun"
    assert (await pair.client.read_frame()).opcode == PING
    pair.studio.send(CONT, "ended")
    while (frame := await pair.client.read_frame()).opcode == PING:
        pass
    assert (frame.opcode, frame.payload) == (CONT, b"ended")


async def test_a_frozen_studio_is_found(join: Join, log: GatewayLog) -> None:
    pair = await join(**QUICK)
    answering = asyncio.create_task(answer_pings(pair.client))
    assert await answering == (1012, "Studio does not answer, reconnect")
    pair.client.send_close(1012)
    pair.studio.leave()
    await until(lambda: nobody_is_left(pair.gateway))
    line = await log.line("closed")
    assert (line["by"], line["cause"]) == ("studio", "studio_silent")
    assert 0.3 <= line["seconds"] < 3


async def test_a_frozen_client_is_found(join: Join, log: GatewayLog) -> None:
    pair = await join(**QUICK)
    answering = asyncio.create_task(answer_pings(pair.studio))
    assert await answering == (1001, "no answer to a ping")
    pair.studio.send_close(1001)
    pair.client.leave()
    await until(lambda: nobody_is_left(pair.gateway))
    line = await log.line("closed")
    assert (line["by"], line["cause"]) == ("client", "client_silent")
    assert 0.3 <= line["seconds"] < 3


async def answer_pings(end: Peer) -> tuple[int, str]:
    """Answer every ping; return code and reason of the Close frame that ends it."""
    while (frame := await end.read_frame()).opcode in (PING, PONG):
        if frame.opcode == PING:
            end.send(PONG, frame.payload)
    return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()


async def test_a_client_frozen_with_a_full_socket_is_found(join: Join, log: GatewayLog) -> None:
    """It takes nothing more, so no ping reaches it: that what waits for it does not get less is the sign."""
    pair = await join(limit=1024, receive_buffer=4096, CLOSE_TIMEOUT_SECONDS="0.2", **QUICK)
    pair.studio.write(pair.studio.frame(BINARY, bytes(1 << 20)) * 8)
    await until(lambda: nobody_is_left(pair.gateway))
    line = await log.line("closed")
    assert (line["by"], line["cause"]) == ("client", "client_silent")


async def test_a_slow_reader_lives_while_it_makes_progress(join: Join) -> None:
    """The ping stands behind megabytes: its answer cannot come in time, yet the client is alive."""
    pair = await join(limit=1024, receive_buffer=4096, **QUICK)
    frame = pair.studio.frame(BINARY, bytes(1 << 20))
    loop = asyncio.get_running_loop()
    started = loop.time()
    pair.studio.write(frame * 2)
    reading = asyncio.create_task(answer_pings(pair.studio))  # Studio itself is well
    for _ in range(2):
        read = bytearray()
        while len(read) < len(frame):
            read += await pair.client.read(min(1 << 15, len(frame) - len(read)))
            await asyncio.sleep(0.025)
        assert read == frame
    assert loop.time() - started > 5 * (0.1 + 0.2)
    assert pair.session.closing is None
    pair.client.leave()
    await reading


async def test_a_connection_without_messages_ends_in_spite_of_pings(join: Join, log: GatewayLog) -> None:
    pair = await join(WS_TIMEOUT_SECONDS="0.4", **PINGS)
    at_studio = asyncio.create_task(answer_pings(pair.studio))
    pair.client.send(PING, b"of the client's own: no message either")
    assert await answer_pings(pair.client) == (1001, "no message for too long")
    pair.client.send_close(1001)
    assert (await at_studio)[0] == 1001
    pair.studio.send_close(1001)
    await until(lambda: nobody_is_left(pair.gateway))
    line = await log.line("closed")
    assert (line["by"], line["cause"]) == ("gateway", "idle")
    assert line["seconds"] >= 0.4


@pytest.mark.parametrize("end", ["client", "studio"])
async def test_messages_either_way_keep_a_connection(join: Join, end: str) -> None:
    pair = await join(WS_TIMEOUT_SECONDS="0.5", PING_INTERVAL_SECONDS="0")
    sender, receiver = both(end, pair.client, pair.studio)
    loop = asyncio.get_running_loop()
    until_then = loop.time() + 1.2
    while loop.time() < until_then:
        sender.send(TEXT, "still here")
        assert await receiver.read_message() == (TEXT, b"still here")
        await asyncio.sleep(0.05)


async def test_a_long_message_keeps_a_connection(join: Join) -> None:
    """The bytes of a frame count when they come, not only when the frame is complete."""
    pair = await join(WS_TIMEOUT_SECONDS="0.5", PING_INTERVAL_SECONDS="0")
    frame = pair.client.frame(BINARY, bytes(100))
    for index in range(24):
        pair.client.write(frame[index : index + 1])
        await asyncio.sleep(0.05)
    pair.client.write(frame[24:])
    assert await pair.studio.read_message() == (BINARY, bytes(100))
