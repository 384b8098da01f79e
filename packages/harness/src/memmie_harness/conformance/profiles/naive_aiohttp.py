"""A proxy as one writes it in an hour with the library aiohttp: `python naive_aiohttp.py PORT BACKEND_ADDRESS`.

It shows what the kit finds: it accepts before the backend has, and forwards fields, query and messages, but no close codes.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

_Side = web.WebSocketResponse | ClientWebSocketResponse

_OWN = {"connection", "host", "upgrade"}
"""Fields of the handshake that each connection has for itself, besides those that begin with `Sec-WebSocket-`."""


async def _pump(source: _Side, destination: _Side) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await destination.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await destination.send_bytes(message.data)
    await destination.close()


def _application(backend: str) -> web.Application:
    async def proxy(request: web.Request) -> web.WebSocketResponse:
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _OWN and not name.lower().startswith("sec-websocket-")
        ]
        client = web.WebSocketResponse()
        await client.prepare(request)
        async with (
            ClientSession() as session,
            session.ws_connect(f"http://{backend}{request.path_qs}", headers=headers) as studio,
        ):
            await asyncio.gather(_pump(client, studio), _pump(studio, client))
        return client

    application = web.Application()
    application.router.add_get("/ws", proxy)
    return application


if __name__ == "__main__":
    web.run_app(_application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), print=None)
