"""The process behind the peer `websockets`: `python -m loadtests.peers.websockets_proxy BACKEND_URL`.

It uses the library's defaults and one task a direction, on uvloop.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from loadtests.common.listening import listen_until_signalled


async def _pump(source: Connection, destination: Connection) -> None:
    try:
        async for message in source:
            await destination.send(message)
    except ConnectionClosed:
        pass  # the destination left first
    finally:
        await destination.close()


async def _main(backend_url: str) -> None:
    async def proxy(client: ServerConnection) -> None:
        async with connect(backend_url) as backend:
            await asyncio.gather(_pump(client, backend), _pump(backend, client))

    async with serve(proxy, "127.0.0.1", 0) as server:
        await listen_until_signalled(next(iter(server.sockets)).getsockname()[1])


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
