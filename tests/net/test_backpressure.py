"""A reader that stops: its sender is stopped, in bounded memory, and nothing is lost; the other way goes on."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.pair import Join, Pair, until

from memmie_gateway.net.sessions.leg import Leg
from memmie_harness.conformance.peers import BINARY, TEXT, Peer

WRITE_BUFFER = 1 << 16
READ_AT_ONCE = 1 << 18
"""Bytes that either event loop reads at a time: what may still be written once the buffer is full."""

SMALL = {"limit": 1 << 14, "receive_buffer": 1 << 14, "WRITE_BUFFER_BYTES": str(WRITE_BUFFER)}
MESSAGE = bytes(range(256)) * 256
COUNT = 500
"""Of 64 KiB each: far more than the kernel's buffers on the way hold."""


def roles(pair: Pair, reader: str) -> tuple[Peer, Peer, Leg, Leg]:
    """Return who reads, who sends, and the gateway's two sides in that order."""
    session = pair.session
    if reader == "client":
        return pair.client, pair.studio, session._client, session._backend
    return pair.studio, pair.client, session._backend, session._client


async def send_numbered(sender: Peer, progress: list[int]) -> None:
    for number in range(COUNT):
        sender.send(BINARY, number.to_bytes(4, "big") + MESSAGE)
        await sender.writer.drain()
        progress.append(number)


@pytest.mark.parametrize("reader", ["client", "studio"])
async def test_the_sender_is_stopped_in_bounded_memory_and_nothing_is_lost(join: Join, reader: str) -> None:
    pair = await join(**SMALL)
    reads, sends, reading_side, sending_side = roles(pair, reader)
    largest = 0

    def buffered() -> int:
        nonlocal largest
        largest = max(largest, reading_side.transport.get_write_buffer_size())
        return largest

    progress: list[int] = []
    sending = asyncio.create_task(send_numbered(sends, progress))
    await until(lambda: buffered() > 0 and sending_side.held)
    before = -1
    while before != len(progress):  # until the kernel's buffers on the sender's side are full, too
        before = len(progress)
        for _ in range(20):
            # The other direction flows meanwhile.
            reads.send(TEXT, "and I?")
            assert await sends.read_message() == (TEXT, b"and I?")
            buffered()
    assert not sending.done()
    assert len(progress) < COUNT / 2
    assert WRITE_BUFFER < largest <= WRITE_BUFFER + READ_AT_ONCE
    for number in range(COUNT):
        assert await reads.read_message() == (BINARY, number.to_bytes(4, "big") + MESSAGE)
        buffered()
    await sending
    assert largest <= WRITE_BUFFER + READ_AT_ONCE
    assert not sending_side.held


async def test_both_readers_stop_at_once(join: Join) -> None:
    """Neither end reads before it has sent all: what a naive echo would die of. Once they read, all arrives."""
    pair = await join(**SMALL)
    session = pair.session
    sending = [asyncio.create_task(send_numbered(end, [])) for end in (pair.client, pair.studio)]
    await until(lambda: session._client.held and session._backend.held)

    async def read_all(end: Peer) -> None:
        for number in range(COUNT):
            assert await end.read_message() == (BINARY, number.to_bytes(4, "big") + MESSAGE)

    await asyncio.gather(read_all(pair.client), read_all(pair.studio), *sending)


async def test_a_reader_that_stops_slows_only_its_own_sender(join: Join) -> None:
    """Two users on one gateway: the one's full buffers are nothing to the other."""
    stuck = await join(**SMALL)
    session = stuck.session
    sending = asyncio.create_task(send_numbered(stuck.studio, []))
    await until(lambda: session._backend.held)
    other = await join(stuck.gateway, user="u2")
    for _ in range(50):
        await other.exchange()
    assert not sending.done()
    stuck.client.reset()
    await sending  # what nobody is there for is read, and dropped


async def test_a_reader_that_leaves_frees_its_sender(join: Join) -> None:
    """Studio's side is not left paused for ever when the client that held it up is gone."""
    pair = await join(**SMALL)
    session = pair.session
    pair.studio.write(pair.studio.frame(BINARY, bytes(1 << 20)) * 8)
    await until(lambda: session._backend.held)
    pair.client.reset()
    assert (await pair.studio.read_close())[0] == 1001
    pair.studio.send_close(1001)
    assert await pair.studio.read_rest() == b""
