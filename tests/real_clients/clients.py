"""The real clients, each with the same interface: `socket.io-client` in Node.js, and python-socketio."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
import socketio

from memmie_harness.conformance.peers import PATIENCE

HERE: Final = Path(__file__).parent

TRANSPORTS: Final[dict[str, list[str] | None]] = {
    "default": None,
    "websocket": ["websocket"],
    "polling": ["polling"],
}


class Client(Protocol):
    """A client with automatic reconnection."""

    async def tell(self, verb: str, *rest: Any) -> None:
        """Let the client do something: `emit`, `ask` (for an acknowledgement), `transport` or `leave`."""

    async def heard(self) -> list[Any]:
        """Return the next thing that happened: its name, and what belongs to it."""

    async def end(self) -> None:
        """End the client."""


def install(folder: Path) -> Path:
    """Install the pinned `socket.io-client` once for this lock file; return the folder of the script that uses it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js with npm is not installed")
    done = folder / "node_modules" / ".package-lock.json"
    lock = (HERE / "node" / "package-lock.json").read_text()
    if not done.exists() or (folder / "package-lock.json").read_text() != lock:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent
        ) as new:  # xdist's workers may do this at the same time
            made = Path(new) / "made"
            shutil.copytree(HERE / "node", made)
            subprocess.run(
                ["npm", "ci", "--silent", "--no-audit", "--no-fund"],  # noqa: S607 - found above
                cwd=made,
                check=True,
                timeout=50,
            )
            shutil.rmtree(folder, ignore_errors=True)
            made.replace(folder)
    shutil.copy(HERE / "node" / "client.js", folder)
    return folder


class NodeClient:
    """`socket.io-client`, in a process of its own."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, folder: Path, url: str, token: str, transports: list[str] | None) -> NodeClient:
        options = json.dumps({"url": url, "token": token, "transports": transports})
        return cls(
            await asyncio.create_subprocess_exec(
                "node", "client.js", options, cwd=folder, stdin=PIPE, stdout=PIPE, limit=1 << 22
            )
        )

    async def tell(self, verb: str, *rest: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([verb, *rest]).encode() + b"\n")
        await self._process.stdin.drain()

    async def heard(self) -> list[Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            words: list[Any] = json.loads(await self._process.stdout.readline())
        return words

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.communicate()


class PythonClient:
    """python-socketio's client."""

    def __init__(self) -> None:
        self._client = socketio.AsyncClient(reconnection_delay=0.02, reconnection_delay_max=0.05)
        self._heard: asyncio.Queue[list[Any]] = asyncio.Queue()
        self._client.on("*", lambda name, *data: self._heard.put_nowait(["event", name, *data]))
        self._client.on("connect", lambda: self._heard.put_nowait(["connect"]))
        self._client.on("connect_error", self._refused)
        self._client.on("disconnect", lambda reason: self._heard.put_nowait(["disconnect", reason]))
        self._connecting: asyncio.Task[None]

    @classmethod
    async def start(cls, url: str, token: str, transports: list[str] | None) -> PythonClient:
        self = cls()

        async def connect() -> None:
            with contextlib.suppress(socketio.exceptions.ConnectionError):  # it is told by an event
                await self._client.connect(url, auth={"token": token}, transports=transports)

        self._connecting = asyncio.create_task(connect())
        return self

    def _refused(self, error: Any) -> None:
        told = isinstance(error, dict)
        self._heard.put_nowait(["connect_error", error["message"] if told else error, told and error["data"]])

    async def tell(self, verb: str, *rest: Any) -> None:
        await self._connecting
        if verb == "emit":
            await self._client.emit(*rest)
        elif verb == "ask":
            self._heard.put_nowait(["answer", await self._client.call(*rest, timeout=5)])
        elif verb == "transport":
            self._heard.put_nowait(["transport", self._client.transport()])
        else:
            await self._client.disconnect()

    async def heard(self) -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            return await self._heard.get()

    async def end(self) -> None:
        self._connecting.cancel()
        await self._client.shutdown()
