"""The side that broke the protocol is told last: what the other one still sends for it arrives (docs/closing.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.net.pair import GatewayLog, Join, Pair, nobody_is_left, until
from tests.net.wire import BINARY, CLOSE, CONT, TEXT, Peer, build, close_body

MEGABYTE = bytes(1 << 20)
CLIENT_BROKE = "the client broke the WebSocket protocol: wrong masking"
STUDIO_BROKE = "Studio broke the WebSocket protocol: continuation of nothing"
TO_STUDIO = (1001, CLIENT_BROKE)


def break_client(pair: Pair) -> None:
    """Let the client ask something, and break the protocol in the same write."""
    pair.client.write(pair.client.frame(TEXT, "asked before") + build(TEXT, b"not masked"))


async def ends(pair: Pair, *peers: Peer) -> None:
    """See that nothing more comes, and that the gateway is done without a time-out."""
    for peer in peers:
        assert await peer.read_rest() == b""
    await until(lambda: nobody_is_left(pair.gateway))


async def test_a_client_gets_the_answer_to_what_it_asked_before(join: Join, log: GatewayLog) -> None:
    pair = await join()
    break_client(pair)
    assert await pair.studio.read_message() == (TEXT, b"asked before")
    assert await pair.studio.read_close() == TO_STUDIO
    pair.studio.send(TEXT, "answered after")
    pair.studio.send_close(1001)
    assert await pair.client.read_message() == (TEXT, b"answered after")
    assert await pair.client.read_close() == (1002, CLIENT_BROKE)
    assert await pair.client.read_rest() == b""
    pair.client.leave()
    await ends(pair, pair.studio)
    assert [(line["cause"], line["code"]) for line in log.lines("closed")] == [("protocol_error", 1002)]


async def test_studio_gets_what_a_client_still_sends(join: Join, log: GatewayLog) -> None:
    pair = await join()
    pair.studio.send(CONT, "continues nothing")
    assert await pair.client.read_close() == (1002, STUDIO_BROKE)
    pair.client.send(TEXT, "saved at the last moment")
    pair.client.send_close(1002)
    assert await pair.studio.read_message() == (TEXT, b"saved at the last moment")
    assert await pair.studio.read_close() == (1002, STUDIO_BROKE)
    assert await pair.studio.read_rest() == b""
    pair.studio.leave()
    await ends(pair, pair.client)
    assert [line["cause"] for line in log.lines("closed")] == ["studio_protocol_error"]


async def test_a_long_frame_for_the_one_to_blame_is_not_cut(join: Join) -> None:
    """It is on its way when the client breaks the protocol, and another one follows before Studio closes."""
    pair = await join()
    frame = pair.studio.frame(BINARY, MEGABYTE)
    pair.studio.write(frame[:1000])
    assert await pair.client.read(1000) == frame[:1000]
    break_client(pair)
    assert await pair.studio.read_message() == (TEXT, b"asked before")
    assert await pair.studio.read_close() == TO_STUDIO
    pair.studio.write(frame[1000:] + frame)
    pair.studio.send_close(1001)
    assert await pair.client.read(2 * len(frame) - 1000) == frame[1000:] + frame
    assert await pair.client.read_close() == (1002, CLIENT_BROKE)


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_the_other_side_leaves_instead_of_closing(join: Join, how: str) -> None:
    """Nothing more can come from it: the one to blame is told at once, and with its own code."""
    pair = await join()
    break_client(pair)
    assert await pair.studio.read_message() == (TEXT, b"asked before")
    assert await pair.studio.read_close() == TO_STUDIO
    getattr(pair.studio, how)()
    assert await pair.client.read_close() == (1002, CLIENT_BROKE)
    pair.client.leave()
    await ends(pair)


async def test_both_break_the_protocol(join: Join) -> None:
    pair = await join()
    break_client(pair)
    assert await pair.studio.read_message() == (TEXT, b"asked before")
    assert await pair.studio.read_close() == TO_STUDIO
    pair.studio.send(CONT, "continues nothing")
    assert await pair.client.read_close() == (1002, CLIENT_BROKE)
    pair.client.leave()
    pair.studio.leave()
    await ends(pair)


@pytest.mark.parametrize("goes_on", [False, True])
async def test_an_other_side_that_does_not_close_is_waited_for_so_long(join: Join, *, goes_on: bool) -> None:
    """The one to blame can still read why, even if it never stops sending."""
    pair = await join(CLOSE_TIMEOUT_SECONDS="0.3")
    started = asyncio.get_running_loop().time()
    break_client(pair)
    assert await pair.studio.read_message() == (TEXT, b"asked before")
    assert await pair.studio.read_close() == TO_STUDIO
    pair.studio.send(TEXT, "answered, but never closed")
    if goes_on:
        pair.client.write(pair.client.frame(BINARY, MEGABYTE) * 4)
    assert await pair.client.read_message() == (TEXT, b"answered, but never closed")
    assert await pair.client.read_close() == (1002, CLIENT_BROKE)
    assert round(asyncio.get_running_loop().time() - started, 6) >= 0.3
    assert await pair.client.read_rest() == b""
    pair.client.leave()
    await ends(pair)


async def test_a_client_that_is_too_fast_gets_its_answers_before_it_is_told(
    join: Join, log: GatewayLog
) -> None:
    pair = await join(
        MESSAGE_RATE_PER_USER="1", MESSAGE_BURST_PER_USER="1", MESSAGE_RATE_MAX_DELAY_SECONDS="1"
    )
    pair.client.write(pair.client.frame(TEXT, "asked") * 50)
    while (frame := await pair.studio.read_frame()).opcode == TEXT:
        pass
    assert (frame.opcode, frame.payload) == (CLOSE, close_body(1001, "sending messages too fast"))
    pair.studio.send(TEXT, "answered")
    pair.studio.send_close(1001)
    assert await pair.client.read_message() == (TEXT, b"answered")
    assert await pair.client.read_close() == (1008, "sending messages too fast")
    pair.client.send_close(1008)
    await ends(pair, pair.client, pair.studio)
    assert [line["cause"] for line in log.lines("closed")] == ["message_rate_exceeded"]


# The gateway spoke while a frame was under way: the answer is recognised all the same, before any time-out.


def studio_breaks(pair: Pair) -> None:
    pair.studio.send(CONT, "continues nothing")


def token_ends(pair: Pair) -> None:
    pair.gateway.parts.leases.revoke(pair.session.info.identity.digest)


@pytest.mark.parametrize("speaks", [studio_breaks, token_ends])
async def test_a_client_answers_after_the_rest_of_its_frame(
    join: Join, speaks: Callable[[Pair], None]
) -> None:
    pair = await join()
    frame = pair.client.frame(BINARY, MEGABYTE)
    pair.client.write(frame[:1000])
    assert await pair.studio.read(1000) == frame[:1000]
    speaks(pair)
    code, _ = await pair.client.read_close()
    assert code in (1002, 4401)
    pair.client.write(frame[1000:])
    pair.client.send_close(code)
    assert await pair.studio.read(len(frame) - 1000) == frame[1000:]
    assert (await pair.studio.read_close())[0] == (1002 if speaks is studio_breaks else 1001)
    assert await pair.client.read_rest() == b""
    pair.studio.leave()
    await ends(pair)


async def test_studio_answers_after_the_rest_of_its_frame(join: Join) -> None:
    pair = await join()
    frame = pair.studio.frame(BINARY, MEGABYTE)
    pair.studio.write(frame[:1000])
    assert await pair.client.read(1000) == frame[:1000]
    stopping = asyncio.create_task(pair.gateway.stop())
    await until(lambda: pair.session.closing is not None)
    pair.studio.write(frame[1000:] + pair.studio.frame(TEXT, "not forwarded"))
    assert await pair.client.read(len(frame) - 1000) == frame[1000:]
    assert (await pair.client.read_close())[0] == 1001
    pair.client.send_close(1001)
    assert await pair.studio.read_close() == (1001, "")
    pair.studio.send_close(1001)
    assert await pair.studio.read_rest() == b""
    await stopping


async def test_a_client_that_closes_while_its_close_waits_is_not_cut_off(join: Join) -> None:
    """The gateway's own Close waits for the end of Studio's frame; the client closes before it comes."""
    pair = await join()
    frame = pair.studio.frame(BINARY, MEGABYTE)
    pair.studio.write(frame[:1000])
    assert await pair.client.read(1000) == frame[:1000]
    stopping = asyncio.create_task(pair.gateway.stop())
    await until(lambda: pair.session.closing is not None)
    pair.client.send_close(1000, "bye")
    assert await pair.studio.read_close() == (1000, "bye")
    pair.studio.write(frame[1000:])
    pair.studio.send_close(1000)
    assert await pair.client.read(len(frame) - 1000) == frame[1000:]
    assert (await pair.client.read_close())[0] == 1001
    await stopping
