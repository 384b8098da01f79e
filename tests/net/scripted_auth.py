"""An Auth whose every byte a test writes itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from memmie_harness.conformance.peers import PATIENCE


@dataclass(frozen=True, slots=True)
class Line:
    """Auth's end of one connection; `ended` when the gateway has closed it."""

    writer: asyncio.StreamWriter
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> None:
        """Send these bytes."""
        self.writer.write(data)

    def close(self) -> None:
        """Send no more, as a server does that closes."""
        self.writer.close()

    async def end(self) -> None:
        """Wait until the gateway has closed it."""
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, or a probe, that has arrived."""

    line: Line
    head: str
    body: bytes

    @property
    def token(self) -> str:
        """Whom it is about."""
        found = re.search(r"^authorization: Bearer (.*)$", self.head, re.MULTILINE | re.IGNORECASE)
        assert found is not None
        return found[1].strip()


class ScriptedAuth:
    """Listens, and hands out the questions in the order they come."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._arrived: asyncio.Queue[Asked] = asyncio.Queue()
        self._server: asyncio.Server
        self.lines: list[Line] = []
        self.questions = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for line in self.lines:
            line.writer.transport.abort()
            with contextlib.suppress(OSError):
                await line.writer.wait_closed()

    def stop(self) -> None:
        """Listen no more."""
        self._server.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def asked(self) -> Asked:
        """Wait for the next question."""
        async with asyncio.timeout(PATIENCE):
            return await self._arrived.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(writer)
        self.lines.append(line)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                length = re.search(r"^content-length: (\d+)\r$", head, re.MULTILINE | re.IGNORECASE)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.questions += head.startswith("POST")
                self._arrived.put_nowait(Asked(line, head, body))
        line.ended.set()
