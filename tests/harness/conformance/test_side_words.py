"""What a peer of the kit says about bytes that it did not expect; both ends are real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.peers import MASK
from memmie_harness.conformance.peers.side import Side

Make = Callable[[bytes], Awaitable[Side]]
"""Returns a client whose server sends bytes and then FIN."""


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    data: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(data[-1])
        writer.write_eof()

    async def connect(sent: bytes) -> Side:
        data.append(sent)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        side = Side(reader, writer, mask=MASK)
        side.name = "client"
        return side

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield connect
        for writer in writers:
            writer.close()


async def violation(awaitable: Awaitable[object]) -> Violation:
    with pytest.raises(Violation) as caught:
        await awaitable
    return caught.value


async def test_what_is_awaited_is_named_and_not_how_it_is_read(make: Make) -> None:
    ended = 'the connection ended after ""'
    for read, expected in (
        (Side.answer, "client gets an HTTP answer"),
        (Side.read_frame, "client gets a frame"),
        (Side.message, "client gets a frame"),
        (Side.expect_close, "client gets a Close frame"),
    ):
        seen = await violation(read(await make(b"")))
        assert (seen.expected, seen.seen) == (expected, ended)


async def test_http_within_a_websocket_is_named(make: Make) -> None:
    answer = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"

    seen = await violation((await make(answer)).expect_close(1011))

    assert seen.expected == "client gets a Close frame"
    assert seen.seen == 'an HTTP answer within the WebSocket: "HTTP/1.1 502 Bad Gateway\\r\\n\\r\\n"'


async def test_http_within_a_websocket_is_an_end_where_any_end_will_do(make: Make) -> None:
    await (await make(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n")).expect_close_or_end()
