"""Whatever frames the two ends send, and however their bytes are cut: what arrives is byte-identical."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.net.pair import Dial, Join, StartGateway

from memmie_gateway import Gateway
from memmie_harness.conformance.peers import BINARY, CONT, PING, PONG, TEXT, Peer, build, in_chunks

NOISE = bytes(range(256)) * 1100
"""Payloads are cut out of this: what they hold is nothing to the gateway."""

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536]) | st.integers(0, 300) | st.integers(0, 250_000)
MASKS = st.binary(min_size=4, max_size=4)


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@dataclass(frozen=True)
class Stream:
    """What one end sends: its bytes, where they are cut, and how many messages are in them."""

    data: bytes
    cuts: list[int]
    messages: int

    @property
    def chunks(self) -> list[bytes]:
        return in_chunks(self.data, self.cuts)


@st.composite
def controls(draw: st.DrawFn, *, mask: bool) -> bytes:
    """A ping or a pong of the end's own."""
    payload = draw(st.binary(max_size=125))
    return build(draw(st.sampled_from([PING, PONG])), payload, mask=draw(MASKS) if mask else None)


@st.composite
def messages(draw: st.DrawFn, *, mask: bool) -> bytes:
    """A message, whole or in fragments with control frames between them (RFC 6455 §5.4)."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    sizes = draw(st.lists(SIZES, min_size=1, max_size=3))
    frames = b""
    for index, size in enumerate(sizes):
        frames += build(
            CONT if index else opcode,
            NOISE[size % 7 : size % 7 + size],
            mask=draw(MASKS) if mask else None,
            fin=index == len(sizes) - 1,
        )
        if index < len(sizes) - 1:
            frames += b"".join(draw(st.lists(controls(mask=mask), max_size=2)))
    return frames


@st.composite
def streams(draw: st.DrawFn, *, mask: bool) -> Stream:
    """Messages with control frames around them, cut anywhere: most of all in headers, which are short."""
    parts = draw(st.lists(messages(mask=mask) | controls(mask=mask), min_size=1, max_size=6))
    starts = [sum(map(len, parts[:index])) for index in range(len(parts))]
    near_a_header = st.builds(lambda start, step: start + step, st.sampled_from(starts), st.integers(0, 14))
    cuts = draw(st.lists(near_a_header | st.integers(0, 1 << 20), max_size=12))
    return Stream(b"".join(parts), cuts, sum(part[0] & 0x0F < PING for part in parts))


async def send(end: Peer, stream: Stream) -> None:
    """Send each chunk by itself: the gateway, in this same loop, gets to read it before the next."""
    for chunk in stream.chunks:
        end.write(chunk)
        await end.writer.drain()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def counted(gateway: Gateway, dial: Dial) -> dict[str, int]:
    """Ask `/metrics` how many messages went which way."""
    scraper = await dial(gateway)
    scraper.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    text = (await scraper.read_head()).body.decode()
    scraper.leave()
    found = re.findall(r'gateway_websocket_messages_total{.*direction="([^"]*)".*} ([0-9.]+)', text)
    return {direction: int(float(number)) for direction, number in found}


@settings(
    max_examples=40,
    deadline=None,
    # One gateway serves all examples; too_slow: drawing large streams is slow, sending them is not.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@example(
    up=Stream(build(TEXT, b"\xff" * 70_000, mask=b"\0\0\0\0") * 2, list(range(20)), 2),
    down=Stream(build(PING, b"p" * 125) + build(BINARY, b"") * 50, list(range(0, 300, 3)), 50),
)
@given(up=streams(mask=True), down=streams(mask=False))
async def test_what_arrives_is_byte_identical(
    gateway: Gateway, join: Join, dial: Dial, up: Stream, down: Stream
) -> None:
    pair = await join(gateway)
    before = await counted(pair.gateway, dial)
    _, _, at_studio, at_client = await asyncio.gather(
        send(pair.client, up),
        send(pair.studio, down),
        pair.studio.read(len(up.data)),
        pair.client.read(len(down.data)),
    )
    assert at_studio == up.data
    assert at_client == down.data
    after = await counted(pair.gateway, dial)
    assert after["client->backend"] - before["client->backend"] == up.messages
    assert after["backend->client"] - before["backend->client"] == down.messages
    pair.client.leave()
    pair.studio.leave()
