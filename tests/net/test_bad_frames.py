"""Frames that break the protocol, from either end: who is told what, and the next client is served."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.pair import Join, StartGateway
from tests.net.wire import (
    BINARY,
    CLOSE,
    CONT,
    MASK,
    PATIENCE,
    PING,
    TEXT,
    build,
    close_body,
    masked,
)


def client_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    return build(opcode, payload, mask=MASK, fin=fin, reserved=reserved)


def with_length(size_field: bytes, first: int = 0x82) -> bytes:
    """Begin a masked frame that states its length like this, with some of its payload."""
    return bytes([first]) + size_field + MASK + masked(bytes(100), MASK)


CLIENT_VIOLATIONS = [
    pytest.param(build(TEXT, b"hello"), 1002, "wrong masking", id="unmasked"),
    pytest.param(with_length(b"\xff" + (1 << 63).to_bytes(8, "big")), 1002, "bad payload length", id="2^63"),
    pytest.param(with_length(b"\xff" + bytes([255] * 8)), 1002, "bad payload length", id="2^64-1"),
    pytest.param(with_length(b"\xfe\x00\x7d"), 1002, "bad payload length", id="125 in two bytes"),
    pytest.param(
        with_length(b"\xff" + (65535).to_bytes(8, "big")), 1002, "bad payload length", id="65535 in eight"
    ),
    pytest.param(
        client_frame(PING, bytes(126)), 1002, "control frame of more than 125 bytes", id="ping of 126 bytes"
    ),
    pytest.param(
        client_frame(PING, b"half", fin=False), 1002, "fragmented control frame", id="fragmented ping"
    ),
    pytest.param(client_frame(CLOSE, b"\x03"), 1002, "bad close frame", id="close of one byte"),
    pytest.param(client_frame(CLOSE, close_body(1005)), 1002, "bad close frame", id="close 1005"),
    pytest.param(client_frame(CLOSE, close_body(1006)), 1002, "bad close frame", id="close 1006"),
    pytest.param(client_frame(CLOSE, close_body(1015)), 1002, "bad close frame", id="close 1015"),
    pytest.param(client_frame(CLOSE, close_body(999)), 1002, "bad close frame", id="close 999"),
    pytest.param(client_frame(CLOSE, close_body(5000)), 1002, "bad close frame", id="close 5000"),
    pytest.param(
        client_frame(CLOSE, close_body(1000) + b"\xff\xfe"), 1007, "", id="close reason that is not UTF-8"
    ),
    pytest.param(client_frame(0x3), 1002, "reserved opcode", id="reserved opcode"),
    pytest.param(client_frame(0xB), 1002, "reserved opcode", id="reserved control opcode"),
    pytest.param(client_frame(TEXT, b"x", reserved=0x40), 1002, "reserved bits set", id="RSV1"),
    pytest.param(client_frame(TEXT, b"x", reserved=0x10), 1002, "reserved bits set", id="RSV3"),
    pytest.param(client_frame(CONT, b"x"), 1002, "continuation of nothing", id="stray continuation"),
    pytest.param(
        client_frame(TEXT, b"begun", fin=False) + client_frame(TEXT, b"new"),
        1002,
        "new message inside a fragmented one",
        id="interrupted message",
    ),
]


@pytest.mark.parametrize(("sent", "code", "words"), CLIENT_VIOLATIONS)
async def test_the_client_is_told_and_studio_never_sees_it(
    unharmed: StartGateway, join: Join, sent: bytes, code: int, words: str
) -> None:
    pair = await join(await unharmed())
    good = client_frame(TEXT, b"good")
    pair.client.write(good + sent)
    assert await pair.studio.read(len(good)) == good
    bad_text = "the client's close reason is not UTF-8"
    reason = f"the client broke the WebSocket protocol: {words}" if words else bad_text
    frame = await pair.studio.read_frame()
    if frame.opcode == TEXT:  # the first fragment of the interrupted message was fine
        assert (frame.payload, frame.fin) == (b"begun", False)
        frame = await pair.studio.read_frame()
    assert (frame.opcode, frame.payload) == (CLOSE, close_body(1001, reason))
    # A client that does not notice may go on: nothing of it arrives, and it is cut off once it leaves.
    pair.client.send(TEXT, "more")
    pair.studio.send_close(1001)
    assert await pair.client.read_close() == (code, reason)
    pair.client.leave()
    assert await pair.studio.read_rest() == b""


async def test_a_client_that_goes_on_can_still_read_why(unharmed: StartGateway, join: Join) -> None:
    """Closing at once would reset the connection under what it sends, and take the Close frame with it."""
    pair = await join(await unharmed())
    pair.client.write(build(TEXT, b"not masked") + client_frame(BINARY, bytes(1 << 20)) * 8)
    assert (await pair.studio.read_close())[0] == 1001
    pair.studio.send_close(1001)
    async with asyncio.timeout(PATIENCE):
        await pair.client.writer.drain()
    assert (await pair.client.read_close())[0] == 1002
    assert await pair.client.read_rest() == b""
    pair.client.leave()
    pair.studio.leave()


STUDIO_VIOLATIONS = [
    pytest.param(build(TEXT, b"hello", mask=MASK), "wrong masking", id="masked"),
    pytest.param(build(PING, bytes(126)), "control frame of more than 125 bytes", id="ping of 126 bytes"),
    pytest.param(build(PING, fin=False), "fragmented control frame", id="fragmented ping"),
    pytest.param(b"\x82\x7f" + bytes([255] * 8), "bad payload length", id="2^64-1"),
    pytest.param(build(CLOSE, b"\x03"), "bad close frame", id="close of one byte"),
    pytest.param(build(CLOSE, close_body(1005)), "bad close frame", id="close 1005"),
    pytest.param(build(0xF), "reserved opcode", id="reserved opcode"),
    pytest.param(build(BINARY, b"x", reserved=0x20), "reserved bits set", id="RSV2"),
    pytest.param(b"HTTP/1.1 500 Oops\r\n\r\n", "reserved bits set", id="HTTP"),
]


@pytest.mark.parametrize(("sent", "words"), STUDIO_VIOLATIONS)
async def test_studio_is_told_and_the_client_gets_a_documented_close(
    unharmed: StartGateway, join: Join, sent: bytes, words: str
) -> None:
    pair = await join(await unharmed())
    good = build(TEXT, b"good")
    pair.studio.write(good + sent)
    assert await pair.client.read(len(good)) == good
    reason = f"Studio broke the WebSocket protocol: {words}"
    assert await pair.client.read_close() == (1002, reason)
    pair.client.send_close(1002)
    assert await pair.studio.read_close() == (1002, reason)
    pair.studio.leave()
    assert await pair.client.read_rest() == b""


async def test_a_close_reason_of_studio_that_is_not_utf_8(unharmed: StartGateway, join: Join) -> None:
    pair = await join(await unharmed())
    pair.studio.send(CLOSE, close_body(1000) + b"\xff")
    assert await pair.client.read_close() == (1002, "Studio's close reason is not UTF-8")
    pair.client.send_close(1002)
    assert await pair.studio.read_close() == (1007, "Studio's close reason is not UTF-8")
    pair.studio.leave()


# The limit on the size of a message.


async def test_a_message_of_just_the_allowed_size_passes(unharmed: StartGateway, join: Join) -> None:
    pair = await join(await unharmed(MAX_MESSAGE_BYTES="1000"))
    pair.client.send(BINARY, bytes(1000))
    assert await pair.studio.read_message() == (BINARY, bytes(1000))
    pair.studio.send(BINARY, bytes(500), fin=False)
    pair.studio.send(PING, bytes(125))  # a control frame is no part of the message
    pair.studio.send(CONT, bytes(500))
    for opcode in (BINARY, PING, CONT):
        assert (await pair.client.read_frame()).opcode == opcode
    pair.client.leave()
    pair.studio.leave()


async def test_a_message_over_the_limit_in_one_frame(unharmed: StartGateway, join: Join) -> None:
    """Not a byte of it reaches Studio, not even its header."""
    pair = await join(await unharmed(MAX_MESSAGE_BYTES="1000"))
    pair.client.write(client_frame(BINARY, bytes(1001))[:50])
    assert await pair.studio.read_close() == (1001, "message too big")
    pair.studio.send_close(1001)
    assert await pair.client.read_close() == (1009, "message too big")
    pair.client.leave()


async def test_a_message_over_the_limit_in_fragments(unharmed: StartGateway, join: Join) -> None:
    """Studio gets the fragments up to the limit, and nothing of the one beyond."""
    pair = await join(await unharmed(MAX_MESSAGE_BYTES="1000"))
    pair.client.send(BINARY, bytes(900), fin=False)
    assert (await pair.studio.read_frame()).payload == bytes(900)
    pair.client.send(CONT, bytes(101), fin=False)
    assert await pair.studio.read_close() == (1001, "message too big")
    pair.studio.send_close(1001)
    assert await pair.client.read_close() == (1009, "message too big")
    pair.client.leave()


async def test_a_message_of_studio_over_the_limit(unharmed: StartGateway, join: Join) -> None:
    pair = await join(await unharmed(MAX_MESSAGE_BYTES="1000"))
    pair.studio.write(build(BINARY, bytes(1001))[:50])
    assert await pair.client.read_close() == (1009, "message of Studio too big")
    pair.client.send_close(1009)
    assert await pair.studio.read_close() == (1009, "message of Studio too big")
    pair.studio.leave()
