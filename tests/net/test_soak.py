"""100,000 messages each way at once: none is lost, none comes twice, none overtakes another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Final

import pytest
from tests.net.pair import Join

from memmie_harness.conformance.peers import BINARY, CONT, Peer, masked

MESSAGES: Final = 100_000
NOISE: Final = random.Random(1).randbytes(2 << 20)  # noqa: S311 - not a secret
BATCH: Final = 1 << 17
"""Bytes written, or read, at a time."""

PAUSE_EVERY: Final = 4 << 20
"""Bytes after which a reader reads nothing for a moment, so that everything before it fills up."""


def sizes() -> Iterator[int]:
    """Yield the size of each message: nearly all are small, some large, a few of a megabyte."""
    rng = random.Random(2)  # noqa: S311 - the same sizes each time
    for number in range(MESSAGES):
        if number % 5000 == 4999:
            yield 1 << 20
        elif number % 500 == 0:
            yield rng.randrange(1 << 17)
        else:
            yield 0 if number % 7 == 0 else rng.randrange(400)


def message(number: int, size: int) -> bytes:
    """Build a message: its number, and bytes that are others for each number; cut to `size`."""
    start = number * 13 % (1 << 20)
    return (number.to_bytes(8, "big") + NOISE[start : start + size])[:size]


async def send_all(end: Peer) -> None:
    """Send all messages, every eleventh in three fragments."""
    batch = bytearray()
    for number, size in enumerate(sizes()):
        payload = message(number, size)
        if number % 11:
            batch += end.frame(BINARY, payload)
        else:
            first, second = size // 3, size // 2
            batch += end.frame(BINARY, payload[:first], fin=False)
            batch += end.frame(CONT, payload[first:second], fin=False)
            batch += end.frame(CONT, payload[second:])
        if len(batch) > BATCH:
            end.write(bytes(batch))
            batch.clear()
            await end.writer.drain()
    end.write(bytes(batch))


def frames_in(buffer: bytearray) -> Iterator[tuple[bool, bytes]]:
    """Take the whole frames out of a buffer: whether each is the last of its message, and its payload."""
    at = 0
    while len(buffer) - at >= 2:
        first, size = buffer[at], buffer[at + 1] & 0x7F
        start = at + 2
        if size > 125:
            start += 2 if size == 126 else 8
            size = int.from_bytes(buffer[at + 2 : start], "big")
        key_at = start
        start += 4 if buffer[at + 1] & 0x80 else 0
        if len(buffer) < start + size:
            break
        payload = bytes(buffer[start : start + size])
        at = start + size
        yield bool(first & 0x80), masked(payload, bytes(buffer[key_at:start])) if start > key_at else payload
    del buffer[:at]


async def receive_all(end: Peer) -> int:
    """Compare every message with the one that should come; stop reading now and then. Return the bytes read."""
    expected = enumerate(sizes())
    buffer, fragments = bytearray(), []
    read = paused_at = done = 0
    while done < MESSAGES:
        data = await end.reader.read(BATCH)
        assert data, f"the connection ended after {done} messages"
        read += len(data)
        buffer += data
        for final, payload in frames_in(buffer):
            fragments.append(payload)
            if final:
                number, size = next(expected)
                assert b"".join(fragments) == message(number, size), f"message {number} is not the next one"
                fragments.clear()
                done += 1
        if read - paused_at > PAUSE_EVERY:
            paused_at = read
            await asyncio.sleep(0.02)  # this is what a slow reader is
    assert not buffer
    return read


@pytest.mark.slow
async def test_a_hundred_thousand_messages_each_way(join: Join) -> None:
    pair = await join()
    held = 0

    async def watch() -> None:
        nonlocal held
        while True:
            held += pair.session._client.held + pair.session._backend.held
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(50):
        *_, at_studio, at_client = await asyncio.gather(
            send_all(pair.client), send_all(pair.studio), receive_all(pair.studio), receive_all(pair.client)
        )
    watching.cancel()
    scanners = pair.session._client.scanner, pair.session._backend.scanner
    assert [scanner.messages for scanner in scanners] == [MESSAGES, MESSAGES]
    assert [scanner.received for scanner in scanners] == [at_studio, at_client]
    assert held, "nobody was ever slow enough to hold a sender back: this showed less than it should"
