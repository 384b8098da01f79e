"""The programs in which many clients run: Node.js, and a page in Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from tests.docs.page import Page, opened
from tests.docs.programs import missing
from tests.real_clients.clients import Client, Inbox

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]


def install() -> Path:
    """Install the pinned `socket.io-client` once for each lock file; return the folder of the scripts that use it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("Node.js with npm is not installed")
    lock = (HERE / "node" / "package-lock.json").read_bytes()
    folder = ROOT / ".nox" / "socketio-client" / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as new:
            made = Path(new) / "made"
            shutil.copytree(HERE / "node", made)
            subprocess.run(
                ["npm", "ci", "--silent", "--no-audit", "--no-fund"],  # noqa: S607 - found above
                cwd=made,
                check=True,
                timeout=50,
            )
            try:
                made.rename(folder)
            except OSError:
                if (
                    not folder.exists()
                ):  # otherwise another worker of xdist was faster, and may use it already
                    raise
    for script in (
        *(HERE / "node").glob("*.js"),
        HERE / "node" / "page.html",
        ROOT / "docs" / "reconnecting.js",
    ):
        copy = folder / script.name
        if not copy.exists() or copy.read_bytes() != script.read_bytes():
            made = Path(shutil.copy(script, folder / f"{script.name}.{os.getpid()}"))
            made.replace(copy)  # in one step, because another worker may read it
    return folder


class Host:
    """A program in which clients run: it gets lines, and sends some, each with the number of a client.

    Args:
        send: sends it a line.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._clients: dict[int, Inbox] = {}
        self._numbers = itertools.count()
        self.send = send

    def told(self, line: str) -> None:
        """The program has sent a line."""
        number, *words = json.loads(line)
        self._clients[number].told.put_nowait(words)

    async def start(self, kind: str, url: str, token: str, transports: list[str] | None = None) -> Client:
        """Start a client of this kind (see `clients.js`)."""
        client = HostedClient(self, next(self._numbers))
        self._clients[client.number] = client
        await client.tell("start", kind, {"url": url, "token": token, "transports": transports})
        return client


class HostedClient(Inbox):
    """A client in a host."""

    def __init__(self, host: Host, number: int) -> None:
        super().__init__()
        self._host = host
        self.number = number

    async def tell(self, verb: str, *rest: Any) -> None:
        await self._host.send(json.dumps([self.number, verb, *rest]))

    async def end(self) -> None:
        await self.tell("leave")


@contextlib.asynccontextmanager
async def node_host() -> AsyncIterator[Host]:
    """Clients in Node.js: `socketio`, `websocket` (the package `ws`) and `stream` (its `fetch`)."""
    process = await asyncio.create_subprocess_exec(
        "node", "client.js", cwd=install(), stdin=PIPE, stdout=PIPE, limit=1 << 22
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    async def send(line: str) -> None:
        stdin.write(line.encode() + b"\n")
        await stdin.drain()

    host = Host(send)

    async def listen() -> None:
        async for line in stdout:
            host.told(line.decode())

    listening = asyncio.create_task(listen())
    try:
        yield host
    finally:
        stdin.close()
        await process.wait()
        await listening


@contextlib.asynccontextmanager
async def page_host(profile: Path) -> AsyncIterator[tuple[Host, Page, str]]:
    """Clients in a page in Chromium: `socketio`, `websocket`, `events` (EventSource) and `stream` (fetch).

    Yields:
        The clients, the page, and its origin.
    """
    folder = install()
    connected: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()

    async def send(line: str) -> None:
        await (await connected).send_str(line)

    async def control(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        connected.set_result(websocket)
        async for message in websocket:
            host.told(message.data)
        return websocket

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(files[request.path])

    host = Host(send)
    files = {f"/{name}": folder / name for name in ("clients.js", "reconnecting.js")}
    files["/"] = folder / "page.html"
    files["/socket.io.min.js"] = folder / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js"
    app = web.Application()
    app.router.add_get("/control", control)
    app.router.add_routes([web.get(path, file) for path in files])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with opened(origin, profile) as page:
            yield host, page, origin
    finally:
        await runner.cleanup()
