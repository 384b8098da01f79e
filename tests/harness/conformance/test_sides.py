"""The peers of the kit: how they tell an end from silence, and an invalid answer from a defect of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from memmie_harness.conformance.model import Ended, Silence, Violation
from memmie_harness.conformance.peers.side import Side

HALF_AN_ANSWER = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"
HALF_A_FRAME = b"\x81\x7eclosing this connection"

Connect = Callable[..., Awaitable[Side]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect a client to a server that sends some bytes, and then closes or does nothing."""
    writers: list[asyncio.StreamWriter] = []
    servers: list[asyncio.Server] = []

    async def connected(data: bytes, *, closes: bool) -> Side:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            writer.write(data)
            if closes:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        side = await Side.connect(server.sockets[0].getsockname()[1])
        writers.append(side.writer)
        side.patience = 0.2
        return side

    yield connected
    for writer in writers:
        writer.transport.abort()
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_a_gateway_that_stops_inside_its_answer_has_not_hung_up(connect: Connect) -> None:
    with pytest.raises(Silence, match="connection: close"):
        await (await connect(HALF_AN_ANSWER, closes=False)).answer()
    with pytest.raises(Ended):
        await (await connect(HALF_AN_ANSWER, closes=True)).answer()


async def test_a_gateway_that_stops_inside_a_frame_has_not_ended_the_connection(connect: Connect) -> None:
    with pytest.raises(Silence):
        await (await connect(HALF_A_FRAME, closes=False)).expect_close_or_end()
    await (await connect(HALF_A_FRAME, closes=True)).expect_close_or_end()


@pytest.mark.parametrize("size", [b"zz", b"-5", b"", b"0x5", b"f" * 5000])
async def test_an_invalid_size_of_a_chunk_is_a_violation(connect: Connect, size: bytes) -> None:
    head = b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(Violation, match="the size of a chunk"):
        await (await connect(head + size + b"\r\nhello\r\n0\r\n\r\n", closes=True)).answer()


async def test_what_comes_where_nothing_may_come_is_seen(connect: Connect) -> None:
    assert await (await connect(b"late", closes=False)).leftover() == b"late"
    with pytest.raises(Violation, match='seen: "late"'):
        await (await connect(b"late", closes=False)).expect_silence()
    with pytest.raises(Violation, match="the end of the connection"):
        await (await connect(b"", closes=True)).expect_silence()
    await (await connect(b"", closes=False)).expect_silence()
