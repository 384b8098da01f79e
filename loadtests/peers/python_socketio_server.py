"""The process behind the peer `python-socketio`: `python -m loadtests.peers.python_socketio_server`.

It is the library's own server, with its defaults, on aiohttp and uvloop. It answers each event itself, because it is a
server and not a proxy: `ask` gets an acknowledgement with the same data, and `tell` gets the same event.
"""

from __future__ import annotations

from typing import Any

import socketio
import uvloop
from aiohttp import web

from loadtests.common.listening import listen_until_signalled


async def _main() -> None:
    server = socketio.AsyncServer(async_mode="aiohttp")

    @server.on("ask")  # type: ignore[untyped-decorator] # it ships no types
    async def _(_: str, data: Any) -> Any:
        return data

    @server.on("tell")  # type: ignore[untyped-decorator] # as above
    async def _(sid: str, data: Any) -> None:
        await server.emit("tell", data, to=sid)

    application = web.Application()
    server.attach(application)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0)
    await site.start()
    await listen_until_signalled(runner.addresses[0][1])
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_main())
