"""A Studio that speaks Socket.IO itself: python-socketio's server."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import socketio
from aiohttp import web
from engineio.payload import Payload


class SocketIoStudio:
    """A server of Socket.IO; what it has seen is kept."""

    def __init__(self) -> None:
        Payload.max_decode_packets = 500  # socket.io-client puts all that it has to say into one body
        self.server = socketio.AsyncServer(
            async_mode="aiohttp",
            async_handlers=False,  # each event after the other
            monitor_clients=False,
        )
        self.server.on("connect", self._connected)
        self.server.on("disconnect", self._disconnected)
        self.server.on("echo", self._echo)
        self.server.on("repeat", self._repeat)
        self.users: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.left: asyncio.Queue[str] = asyncio.Queue()
        self.requests: list[web.Request] = []
        self.url = ""
        self._runner: web.AppRunner

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._note])
        self.server.attach(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}/socket.io/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.shutdown()
        await self._runner.cleanup()

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(request)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _connected(self, _: str, environ: dict[str, Any], __: object = None) -> None:
        request = environ["aiohttp.request"]
        self.users.append(request.headers["X-User-ID"])
        self.queries.append(dict(request.query))

    async def _disconnected(self, _: str, reason: str) -> None:
        self.left.put_nowait(reason)

    async def _echo(self, sid: str, data: Any) -> Any:
        await self.server.emit("echoed", data, to=sid)
        return data

    async def _repeat(self, _: str, text: str, times: int) -> str:
        return text * times
