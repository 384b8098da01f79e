"""The process behind the peer `aiohttp`: `python -m loadtests.peers.aiohttp_proxy BACKEND_URL`.

It uses the library's defaults and one task a direction, on uvloop. Only the number of connections to the backend is raised
from its default of 100.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType, web

from loadtests.common.listening import listen_until_signalled

_Side = web.WebSocketResponse | ClientWebSocketResponse


async def _pump(source: _Side, destination: _Side) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await destination.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await destination.send_bytes(message.data)
    await destination.close()


async def _main(backend_url: str) -> None:
    async with ClientSession(connector=TCPConnector(limit=0)) as session:

        async def proxy(request: web.Request) -> web.WebSocketResponse:
            client = web.WebSocketResponse()
            async with session.ws_connect(backend_url) as backend:
                await client.prepare(request)
                await asyncio.gather(_pump(client, backend), _pump(backend, client))
            return client

        application = web.Application()
        application.router.add_get("/ws", proxy)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0)
        await site.start()
        await listen_until_signalled(runner.addresses[0][1])
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
