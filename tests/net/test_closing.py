"""Every way a connection can end, and what either end is told (RFC 6455 §7, `core.websocket.closing`)."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.pair import GatewayLog, Join, Pair, nobody_is_left, until

from memmie_gateway.core.steps import ready
from memmie_harness.conformance.peers import BINARY, CLOSE, CONT, TEXT, Peer, build


async def nothing_more(*ends: Peer) -> None:
    """See that no end gets anything more, and that its connection ends without a reset."""
    for end in ends:
        assert await end.read_rest() == b""


async def ends_as(pair: Pair, log: GatewayLog, **expected: object) -> None:
    """See that the gateway lets go of the connection, and that its one log line tells why it ended."""
    await until(lambda: nobody_is_left(pair.gateway))
    lines = log.lines("closed")
    assert [{key: line[key] for key in expected} for line in lines] == [expected]


# One of the two ends closes.


async def test_the_client_closes(join: Join, log: GatewayLog) -> None:
    pair = await join()
    session = pair.session
    pair.client.send_close(4100, "done for today")
    assert await pair.studio.read_close() == (4100, "done for today")
    pair.studio.send_close(4100, "bye")
    assert await pair.client.read_close() == (4100, "bye")
    await nothing_more(pair.client, pair.studio)
    await ends_as(pair, log, by="client", cause="client_closed", code=4100, reason="done for today")
    assert repr(session._shared.closings).startswith("<Timeouts 0 of "), "a closed connection has no time-out"
    assert not len(session._shared.looks), "and is not looked at"


async def test_studio_closes(join: Join, log: GatewayLog) -> None:
    pair = await join()
    pair.studio.send_close(4008, "subscription ended ✓")
    assert await pair.client.read_close() == (4008, "subscription ended ✓")
    pair.client.send_close(4008)
    assert await pair.studio.read_close() == (4008, "")
    await nothing_more(pair.client, pair.studio)
    await ends_as(pair, log, by="studio", cause="studio_closed", code=4008, reason="subscription ended ✓")


async def test_a_close_without_a_code_stays_without_one(join: Join, log: GatewayLog) -> None:
    pair = await join()
    pair.client.send(CLOSE)
    assert await pair.studio.read_close() == (1005, "")
    pair.studio.send(CLOSE)
    assert await pair.client.read_close() == (1005, "")
    await nothing_more(pair.client, pair.studio)
    await ends_as(pair, log, by="client", code=None, reason=None)


async def test_closes_that_cross_are_both_passed_on(join: Join) -> None:
    pair = await join()
    pair.client.send_close(1000, "from the client")
    pair.studio.send_close(4000, "from Studio")
    assert await pair.client.read_close() == (4000, "from Studio")
    assert await pair.studio.read_close() == (1000, "from the client")
    await nothing_more(pair.client, pair.studio)


async def test_studio_may_go_on_sending_until_it_answers_a_close(join: Join) -> None:
    pair = await join()
    pair.client.send_close(1000)
    assert await pair.studio.read_close() == (1000, "")
    pair.studio.send(TEXT, "one for the road")
    pair.studio.send_close(1000)
    assert await pair.client.read_message() == (TEXT, b"one for the road")
    assert await pair.client.read_close() == (1000, "")


async def test_what_follows_a_close_is_not_passed_on(join: Join) -> None:
    pair = await join()
    pair.client.write(pair.client.frame(CLOSE) + pair.client.frame(TEXT, "too late"))
    assert await pair.studio.read_close() == (1005, "")
    pair.client.send(TEXT, "far too late")
    pair.studio.send(CLOSE)
    await nothing_more(pair.studio)


async def test_a_close_passes_byte_for_byte(join: Join) -> None:
    pair = await join()
    sent = build(CLOSE, b"\x03\xe8bye", mask=b"\x01\x02\x03\x04")
    pair.client.write(sent)
    assert (await pair.studio.read_frame()).raw == sent


@pytest.mark.parametrize("closes", ["client", "studio"])
async def test_who_sends_fin_behind_a_close_is_still_answered(join: Join, closes: str) -> None:
    pair = await join()
    closing, other = (pair.client, pair.studio) if closes == "client" else (pair.studio, pair.client)
    closing.send_close(4000, "bye")
    closing.finish()
    assert await other.read_close() == (4000, "bye")
    if other is pair.studio:
        other.send(TEXT, "one for the road")
    other.send_close(4001, "bye, too")
    if other is pair.studio:
        assert await closing.read_message() == (TEXT, b"one for the road")
    assert await closing.read_close() == (4001, "bye, too")
    await nothing_more(closing, other)
    await until(lambda: nobody_is_left(pair.gateway))


async def test_who_sends_fin_behind_a_close_is_answered_although_the_other_end_vanishes(join: Join) -> None:
    pair = await join()
    pair.client.send_close(4000, "bye")
    pair.client.finish()
    await pair.studio.read_close()
    pair.studio.reset()
    assert await pair.client.read_close() == (4000, "")
    await nothing_more(pair.client)


async def test_who_sends_fin_behind_a_close_does_not_stay_for_ever(join: Join) -> None:
    pair = await join(CLOSE_TIMEOUT_SECONDS="0.2")
    pair.client.send_close(4000, "bye")
    pair.client.finish()
    await pair.studio.read_close()
    assert await pair.client.read_close() == (4000, "")
    await until(lambda: nobody_is_left(pair.gateway))


# One of the two ends vanishes.


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_studio_vanishes_between_frames(join: Join, log: GatewayLog, how: str) -> None:
    pair = await join()
    pair.studio.send(TEXT, "the last word")
    assert await pair.client.read_message() == (TEXT, b"the last word")
    getattr(pair.studio, how)()
    assert await pair.client.read_close() == (1012, "Studio is gone, reconnect")
    pair.client.send_close(1012)
    await nothing_more(pair.client)
    await ends_as(pair, log, by="studio", cause="studio_gone", code=1012)


async def test_studio_vanishes_between_fragments(join: Join) -> None:
    pair = await join()
    pair.studio.send(TEXT, "never to be", fin=False)
    pair.studio.finish()
    frame = await pair.client.read_frame()
    assert (frame.opcode, frame.payload, frame.fin) == (TEXT, b"never to be", False)
    assert await pair.client.read_close() == (1012, "Studio is gone, reconnect")


async def test_studio_vanishes_inside_a_frame_header(join: Join) -> None:
    """What was not forwarded does not stand in the way of a Close frame."""
    pair = await join()
    pair.studio.write(build(BINARY, bytes(70_000))[:5])
    pair.studio.finish()
    assert await pair.client.read_close() == (1012, "Studio is gone, reconnect")


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_studio_vanishes_inside_a_frame(join: Join, log: GatewayLog, how: str) -> None:
    """Nothing honest can be said inside a frame: the connection is cut."""
    pair = await join()
    torso = build(BINARY, bytes(1000))[:500]
    pair.studio.write(torso)
    assert await pair.client.read(500) == torso
    getattr(pair.studio, how)()
    assert await pair.client.read_rest() == b""
    await ends_as(pair, log, by="studio", cause="studio_gone", code=None)


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_the_client_vanishes(join: Join, log: GatewayLog, how: str) -> None:
    pair = await join()
    pair.client.send(TEXT, "the last word")
    assert await pair.studio.read_message() == (TEXT, b"the last word")
    getattr(pair.client, how)()
    assert await pair.studio.read_close() == (1001, "the client's connection was lost")
    pair.studio.send_close(1001)
    await nothing_more(pair.studio)
    await ends_as(pair, log, by="client", cause="client_gone", code=None)


async def test_the_client_vanishes_inside_a_frame(join: Join) -> None:
    pair = await join()
    torso = pair.client.frame(BINARY, bytes(1000))[:500]
    pair.client.write(torso)
    assert await pair.studio.read(500) == torso
    pair.client.finish()
    assert await pair.studio.read_rest() == b""


async def test_a_client_that_vanishes_after_studio_closed_answers_its_close(join: Join) -> None:
    """Studio asked to close and waits for the echo: it gets one, with its own code (RFC 6455 §5.5.1)."""
    pair = await join()
    pair.studio.send_close(4001, "go")
    assert await pair.client.read_close() == (4001, "go")
    pair.client.leave()
    assert await pair.studio.read_close() == (4001, "")
    await nothing_more(pair.studio)


# Somebody does not answer a Close frame.


@pytest.mark.parametrize("silent", ["client", "studio"])
async def test_an_end_that_does_not_answer_is_waited_for_so_long(join: Join, silent: str) -> None:
    pair = await join(CLOSE_TIMEOUT_SECONDS="0.2")
    mute, asks = (pair.client, pair.studio) if silent == "client" else (pair.studio, pair.client)
    started = asyncio.get_running_loop().time()
    asks.send_close(1000, "well?")
    assert await mute.read_close() == (1000, "well?")
    assert await asks.read_close() == (1000, "")
    waited = asyncio.get_running_loop().time() - started
    assert round(waited, 6) >= 0.2  # a difference of two floats: 0.2 may be 0.19999999999998863
    await nothing_more(pair.client, pair.studio)
    await until(lambda: nobody_is_left(pair.gateway))


# One end breaks the protocol: both are told (see also test_told_last.py).


async def test_the_client_breaks_the_protocol(join: Join, log: GatewayLog) -> None:
    pair = await join()
    pair.client.write(pair.client.frame(TEXT, "good") + build(TEXT, b"not masked"))
    words = "the client broke the WebSocket protocol: wrong masking"
    assert await pair.studio.read_message() == (TEXT, b"good")
    assert await pair.studio.read_close() == (1001, words)
    pair.studio.send_close(1001)
    assert await pair.client.read_close() == (1002, words)
    pair.client.leave()
    await nothing_more(pair.studio)
    await ends_as(pair, log, by="client", cause="protocol_error", code=1002, reason=words)


async def test_studio_breaks_the_protocol(join: Join, log: GatewayLog) -> None:
    pair = await join()
    pair.studio.write(pair.studio.frame(TEXT, "good") + pair.studio.frame(CONT, "continues nothing"))
    words = "Studio broke the WebSocket protocol: continuation of nothing"
    assert await pair.client.read_message() == (TEXT, b"good")
    assert await pair.client.read_close() == (1002, words)
    pair.client.send_close(1002)
    assert await pair.studio.read_close() == (1002, words)
    pair.studio.leave()
    await nothing_more(pair.client)
    await ends_as(pair, log, by="studio", cause="studio_protocol_error", code=1002, reason=words)
    (backend,) = pair.gateway.parts.pool
    assert backend.failures == 0, "this says nothing about its health"


async def test_a_lost_client_gives_its_place_back_though_studio_has_not_answered(join: Join) -> None:
    pair = await join(user="u1")
    users = pair.gateway.parts.admission.stores.users
    assert await ready(users.acquire("u1", 1)) is None
    pair.client.reset()
    await pair.studio.read_close()  # and it does not answer
    await until(lambda: users.acquire("u1", 1) is not None)
    assert len(pair.gateway.parts.sessions) == 1
