"""The relay passes bytes on as TCP does: in order, whatever its delay does meanwhile."""

from __future__ import annotations

import asyncio

from tests.chaos.link import Link


async def test_bytes_stay_in_order_when_a_delay_ends() -> None:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    service = await asyncio.start_server(lambda *streams: accepted.put_nowait(streams), "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    link = Link("127.9.9.9", port)
    await link.open()
    _, gateway = await asyncio.open_connection(link.address, port)
    reader, writer = await accepted.get()
    try:
        gateway.write(b"first")
        assert await reader.readexactly(5) == b"first"
        link.delay = 0.2
        gateway.write(b"slow")
        while not any(end._delayed for end in link.ends):  # noqa: ASYNC110 - the relay has no event for it
            await asyncio.sleep(0)
        link.delay = 0.0
        gateway.write(b"quick")
        assert await reader.readexactly(9) == b"slowquick"
        assert link.connections == 1
    finally:
        for each in (gateway, writer):
            each.close()
            await each.wait_closed()
        await link.close()
        service.close()
