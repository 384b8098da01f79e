"""What was read before a close arrives before it, and a Close frame never lands inside a frame."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.pair import GatewayLog, Join, nobody_is_left, until

from memmie_gateway.core.outcomes import Cause
from memmie_harness.conformance.peers import BINARY, PATIENCE, TEXT

MEGABYTE = bytes(1 << 20)


async def test_a_slow_reader_gets_megabytes_and_then_the_close(join: Join, log: GatewayLog) -> None:
    """The time-out of the closing handshake passes again and again while it reads: it makes progress."""
    pair = await join(CLOSE_TIMEOUT_SECONDS="0.1", limit=1024, receive_buffer=4096)
    for _ in range(4):
        pair.studio.send(BINARY, MEGABYTE)
    pair.studio.send_close(4005, "that was all")
    pair.studio.finish()
    for _ in range(4):
        pair.client.send(TEXT, "sent before the close was read")  # would reset a socket closed too early
        head = await pair.client.read(10)
        assert head == pair.studio.frame(BINARY, MEGABYTE)[:10]
        for _ in range(16):
            assert await pair.client.read(1 << 16) == MEGABYTE[: 1 << 16]
            await asyncio.sleep(0.03)  # what makes this reader slow
    assert await pair.client.read_close() == (4005, "that was all")
    pair.client.send_close(4005)
    await until(lambda: nobody_is_left(pair.gateway))
    assert [line["cause"] for line in log.lines("closed")] == ["studio_closed"]


async def test_megabytes_of_a_client_that_left_reach_studio_before_the_close(join: Join) -> None:
    pair = await join()
    for _ in range(4):
        pair.client.send(BINARY, MEGABYTE)
    pair.client.finish()
    for _ in range(4):
        assert await pair.studio.read_message() == (BINARY, MEGABYTE)
    assert await pair.studio.read_close() == (1001, "the client's connection was lost")


async def test_megabytes_of_a_studio_that_left_reach_the_client_before_the_close(join: Join) -> None:
    pair = await join()
    for _ in range(4):
        pair.studio.send(BINARY, MEGABYTE)
    pair.studio.finish()
    for _ in range(4):
        assert await pair.client.read_message() == (BINARY, MEGABYTE)
    assert await pair.client.read_close() == (1012, "Studio is gone, reconnect")


async def test_a_reader_that_has_stopped_is_given_up(join: Join, log: GatewayLog) -> None:
    """Nobody waits for ever for a client that takes none of what is queued for it."""
    pair = await join(CLOSE_TIMEOUT_SECONDS="0.2", limit=1024, receive_buffer=4096)
    session = pair.session
    pair.studio.write(pair.studio.frame(BINARY, MEGABYTE) * 8)
    await until(lambda: session._backend.held)
    await pair.gateway.stop()
    assert [line["cause"] for line in log.lines("closed")] == ["shutting_down"]


@pytest.mark.parametrize(
    ("reader", "buffered"),
    [
        pytest.param("client", "1024", id="the client, inside a frame"),
        pytest.param("studio", "1024", id="Studio, inside a frame"),
        pytest.param("client", str(16 << 20), id="the client, between frames"),
    ],
)
async def test_a_reader_is_given_up_at_the_second_deadline_without_progress(
    join: Join, reader: str, buffered: str
) -> None:
    """The Close frame waits behind megabytes, and who does not read them never gets it."""
    pair = await join(limit=1024, receive_buffer=4096, WRITE_BUFFER_BYTES=buffered)
    session = pair.session
    sends, leg = (pair.studio, session._backend) if reader == "client" else (pair.client, session._client)
    sends.write(sends.frame(BINARY, MEGABYTE) * 8)
    await until(lambda: leg.held or leg.scanner.messages == 8)
    assert leg.held is (buffered == "1024")
    session.end(Cause.IDLE)
    session._shared.closings.stop(session)  # the deadlines are the test's
    session.expire()
    assert repr(session._shared.closings).startswith("<Timeouts 1 "), "what waits counts as progress at first"
    session._shared.closings.stop(session)
    session.expire()
    assert repr(session._shared.closings).startswith("<Timeouts 0 ")
    await until(lambda: nobody_is_left(pair.gateway))


async def test_stopping_the_gateway_tells_the_client_and_loses_nothing(join: Join, log: GatewayLog) -> None:
    pair = await join()
    stopping = asyncio.create_task(pair.gateway.stop())
    assert await pair.client.read_close() == (1001, "the gateway is shutting down")
    # The client has only read the Close just now: this was on its way, and still reaches Studio.
    pair.client.send(TEXT, "saved at the last moment")
    pair.client.send_close(1001)
    assert await pair.studio.read_message() == (TEXT, b"saved at the last moment")
    assert await pair.studio.read_close() == (1001, "")
    pair.studio.send_close(1001)
    await stopping
    assert await pair.client.read_rest() == b""
    assert await pair.studio.read_rest() == b""
    assert [(line["cause"], line["code"]) for line in log.lines("closed")] == [("shutting_down", 1001)]


async def test_stopping_waits_for_the_end_of_a_long_frame(join: Join) -> None:
    """The rest of Studio's frame comes first, then the Close; a next frame is not begun."""
    pair = await join()
    frame = pair.studio.frame(BINARY, MEGABYTE)
    pair.studio.write(frame[:1000])
    assert await pair.client.read(1000) == frame[:1000]
    stopping = asyncio.create_task(pair.gateway.stop())
    await until(lambda: pair.session.closing is not None)
    pair.studio.write(frame[1000:] + pair.studio.frame(TEXT, "not begun"))
    assert await pair.client.read(len(frame) - 1000) == frame[1000:]
    assert await pair.client.read_close() == (1001, "the gateway is shutting down")
    pair.client.send_close(1001)
    assert await pair.studio.read_close() == (1001, "")
    pair.studio.leave()
    await stopping


async def test_stopping_cuts_a_frame_that_does_not_end(join: Join) -> None:
    pair = await join(CLOSE_TIMEOUT_SECONDS="0.1")
    pair.studio.write(pair.studio.frame(BINARY, MEGABYTE)[:1000])
    assert len(await pair.client.read(1000)) == 1000
    await pair.gateway.stop()
    assert await pair.client.read_rest() == b""
    assert (await pair.studio.read_close())[0] == 1001


async def test_a_reader_that_sips_does_not_hold_a_gateway_that_stops(join: Join, log: GatewayLog) -> None:
    """It makes progress, for days if it likes; but a gateway that stops has an end of its own."""
    pair = await join(CLOSE_TIMEOUT_SECONDS="0.5", limit=1024, receive_buffer=4096)
    session = pair.session
    pair.studio.write(pair.studio.frame(BINARY, MEGABYTE) * 8)
    await until(lambda: session._backend.held)

    async def sip() -> None:
        while await pair.client.reader.read(1024):  # noqa: ASYNC110 - it waits for nothing, it is slow
            await asyncio.sleep(0.02)

    sipping = asyncio.create_task(sip())
    async with asyncio.timeout(PATIENCE):
        await pair.gateway.stop()
    sipping.cancel()
    await asyncio.gather(sipping, return_exceptions=True)
    assert [line["cause"] for line in log.lines("closed")] == ["shutting_down"]
