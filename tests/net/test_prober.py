"""The health connection to a Studio that answers it in odd ways: it is asked again, whatever it said."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.pair import StartGateway

from memmie_harness.conformance.peers import PATIENCE


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param("Location: http://[::1/x", id="to no URL"),
        pytest.param("Location: /a\r\nLocation: /b", id="to two places"),
        pytest.param("Location: ws://a..b/x", id="to no name"),
    ],
)
async def test_a_redirect_does_not_end_the_watching(start_gateway: StartGateway, fields: str) -> None:
    asked = asyncio.Semaphore(0)

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\n{fields}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()
        asked.release()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await start_gateway(STUDIO_WS_URLS=f"ws://127.0.0.1:{port}/ws", HEALTH_RECOVERY_SECONDS="0.05")
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            await asked.acquire()
    server.close()
