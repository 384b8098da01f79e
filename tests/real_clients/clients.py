"""The interface of all real clients; here are python-socketio's and curl, and `hosts` has the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
from typing import Any, Final, Protocol

import aiohttp
import socketio
from tests.docs.programs import missing, running
from tests.net.socketio import shut_down

from memmie_harness.conformance.peers import PATIENCE

TRANSPORTS: Final[dict[str, list[str] | None]] = {
    "default": None,
    "websocket": ["websocket"],
    "polling": ["polling"],
}


class Client(Protocol):
    """A client that reconnects by itself where that helps.

    It tells `connect`, `disconnect` (with the reason), `event` (with name and data), `answer` (to `ask`), and that it is
    refused: `connect_error` in Socket.IO, `error` in Node's WebSocket, `refused` over HTTP.
    """

    async def tell(self, verb: str, *rest: Any) -> None:
        """Let the client do something: `ask` for an answer, `leave`, or try `again` with another token."""

    async def heard(self) -> list[Any]:
        """Return the next thing that happened: its name, and what belongs to it."""

    async def end(self) -> None:
        """End the client."""


class Inbox:
    """What a client has told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[list[Any]] = asyncio.Queue()

    async def heard(self) -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.told.get()


class PythonClient(Inbox):
    """python-socketio's client."""

    def __init__(self, url: str, transports: list[str] | None) -> None:
        super().__init__()
        # The library forgets a session of its own when it connects again, and does not close it.
        self._http = aiohttp.ClientSession()
        self._client = socketio.AsyncClient(
            http_session=self._http, reconnection_delay=0.02, reconnection_delay_max=0.05
        )
        self._client.on("*", lambda name, *data: self.told.put_nowait(["event", name, *data]))
        self._client.on("connect", lambda: self.told.put_nowait(["connect"]))
        self._client.on("connect_error", self._refused)
        self._client.on("disconnect", lambda reason: self.told.put_nowait(["disconnect", reason]))
        self._connecting: asyncio.Task[None]
        self._transports = transports
        self._url = url

    @classmethod
    async def start(cls, url: str, token: str, transports: list[str] | None) -> PythonClient:
        self = cls(url, transports)
        self._connecting = asyncio.create_task(self._connect(token))
        return self

    async def _connect(self, token: str) -> None:
        with contextlib.suppress(socketio.exceptions.ConnectionError):  # it is told by an event
            await self._client.connect(self._url, auth={"token": token}, transports=self._transports)

    def _refused(self, error: Any) -> None:
        """Note CONNECT_ERROR, the JSON of a refused request, or the words of the library."""
        told = isinstance(error, dict) and "message" in error
        self.told.put_nowait(
            ["connect_error", *((error["message"], error["data"]) if told else (error, None))]
        )

    async def tell(self, verb: str, *rest: Any) -> None:
        await self._connecting
        if verb == "again":
            self._connecting = asyncio.create_task(self._connect(*rest))
        elif verb == "emit":
            await self._client.emit(*rest)
        elif verb == "ask":
            self.told.put_nowait(["answer", await self._client.call(*rest, timeout=5)])
        elif verb == "transport":
            self.told.put_nowait(["transport", self._client.transport()])
        else:
            await self._client.disconnect()

    async def end(self) -> None:
        self._connecting.cancel()
        await shut_down(self._client)
        await self._http.close()


class CurlClient(Inbox):
    """curl, which reads a stream of events, and tries again after one that has ended."""

    WORDS: Final = re.compile(rb'HTTP/1\.1 (\d+)[^\n]*\n|data: ([^\n]*)\n|"code": "(\w+)"}')

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._token = ""
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, url: str, token: str) -> CurlClient:
        self = cls(url)
        await self.tell("again", token)
        return self

    def _command(self, *options: str) -> list[str]:
        curl = shutil.which("curl")
        if curl is None:
            missing("curl is not installed")
        return [
            curl,
            "--silent",
            *options,
            "--header",
            f"Authorization: Bearer {self._token}" if self._token else "X: x",
        ]

    async def _read(self) -> None:
        retry = ("--retry", "1000", "--retry-delay", "1", "--retry-all-errors", "--no-buffer", "--include")
        async with running(*self._command(*retry, f"{self._url}/api/v1/events")) as process:
            assert process.stdout is not None
            data, status = b"", 0
            while part := await process.stdout.read(1 << 16):
                data += part
                end = 0
                for found in self.WORDS.finditer(data):
                    end = found.end()
                    if found[1]:
                        status = int(found[1])
                        if status == 200:
                            self.told.put_nowait(["connect"])
                    elif found[2]:
                        event = json.loads(found[2])
                        self.told.put_nowait(["event", event["type"], event["data"]])
                    else:
                        self.told.put_nowait(["refused", status, found[3].decode()])
                data = data[end:]

    async def tell(self, verb: str, *rest: Any) -> None:
        if verb == "again":
            await self.end()
            (self._token,) = rest
            self._reading = asyncio.create_task(self._read())
        elif verb == "ask":
            command = self._command("--output", "/dev/null", "--write-out", "%{http_code}")
            async with running(*command, f"{self._url}/api/v1/books") as process:
                assert process.stdout is not None
                status = (await process.stdout.read()).decode()
            self.told.put_nowait(["answer", {"type": "ack" if status == "200" else status}])
        else:
            await self.end()

    async def end(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
