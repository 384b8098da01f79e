"""Streams of events over HTTP: they last for as long as Studio and the client like, and not longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
from tests.clock import waiting_clock
from tests.net.pair import StartGateway, nobody_is_left, until
from tests.net.scripted_http import HttpPeer, ScriptedHttp, head, request
from tests.net.test_http_streaming import fill

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway

SCALED_HOUR: Final = 1.5
"""Seconds; the defaults of all time-outs are divided by the same number, 2400."""

SCALED: Final = {
    "HTTP_IDLE_SECONDS": "0.025",
    "HTTP_TOTAL_SECONDS": "0.25",
    "HTTP_BODY_SECONDS": "0.025",
    "HTTP_LIVE_SECONDS": "0.0125",
}


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp() as studio:
        yield studio


async def streamed(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth, *, receive_buffer: int = 0
) -> tuple[HttpPeer, HttpPeer]:
    """Return a client that has asked for events, and Studio after the head of its answer."""
    client = await HttpPeer.connect(gateway.port, receive_buffer=receive_buffer)
    client.write(request(target=f"/api/events?token={auth.mint()}", extra=["Accept: text/event-stream"]))
    asked = await studio.request()
    assert asked.head.target == "/api/events"
    asked.write(head("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"))
    return client, asked


@pytest.mark.one_loop
async def test_a_stream_lasts_for_an_hour(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    """With an event in every quarter of an hour, which is longer than each time-out."""
    gateway = await start_gateway(**SCALED)
    with waiting_clock():
        client, asked = await streamed(gateway, studio, auth)
        await client.read_head()
        for number in range(4):
            await asyncio.sleep(SCALED_HOUR / 4)
            event = b"data: %d\n\n" % number
            asked.write(b"%x\r\n%b\r\n" % (len(event), event))
            assert await client.read_chunk() == event
            assert len(gateway.parts.sessions) == 1, "it is a live connection"
        client.leave()
        assert await asked.read_rest() == b""
        await until(lambda: nobody_is_left(gateway))


async def test_a_client_that_takes_nothing_of_a_stream_is_cut(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway(HTTP_IDLE_SECONDS="0.5", HTTP_LIVE_SECONDS="0.1")
    client, asked = await streamed(gateway, studio, auth, receive_buffer=4096)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    asked.write(b"%x\r\n" % (1 << 30))
    await fill(asked)
    await until(lambda: nobody_is_left(gateway))
    client.writer.transport.abort()
