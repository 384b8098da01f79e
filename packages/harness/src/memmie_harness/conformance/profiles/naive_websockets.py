"""A proxy as one writes it in an hour with the library websockets: `python naive_websockets.py PORT BACKEND_URL`.

It shows what the kit finds: it accepts before the backend has, and forwards messages, but no request and no close codes.
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def _pump(source: Connection, destination: Connection) -> None:
    try:
        async for message in source:
            await destination.send(message)
    except ConnectionClosed:
        pass
    finally:
        await destination.close()


async def _main(port: int, backend_url: str) -> None:
    async def proxy(client: ServerConnection) -> None:
        async with connect(backend_url, proxy=None) as backend:
            await asyncio.gather(_pump(client, backend), _pump(backend, client))

    async with serve(proxy, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2]))
