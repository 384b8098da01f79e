"""An Auth that counts questions by token, and answers single tokens as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Self

from memmie_fake_auth import FakeAuth
from memmie_harness.conformance.peers.heads import Head, parse_head

_QUESTION: Final = "/api/v1/auth/validate"
"""The path of a question about a token (spec §2)."""

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes an answer, or anything else; the connection is closed when it returns."""


class CountedAuth:
    """A TCP server in front of a `FakeAuth`, which it asks about every token without an answer of its own."""

    def __init__(self) -> None:
        self.behind = FakeAuth(port=0)
        self.questions: Counter[str] = Counter()
        """How often each token was asked about."""
        self.probes = 0
        """How many requests had no token, for example `GET /health`."""
        self.others: list[Head] = []
        """The requests that were not questions about a token, with their bodies."""
        self.port = 0
        self._answers: dict[str, Answer] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address for the gateway."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """The address as HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def mint(self, user_id: str, ttl_seconds: float = 3600) -> str:
        """Return a token that is valid for so many seconds."""
        return self.behind.mint(user_id, ttl_seconds=ttl_seconds)

    def answer(self, token: str, answer: Answer | None) -> None:
        """Answer questions about this token in this way; None lets the `FakeAuth` answer again."""
        if answer is None:
            self._answers.pop(token, None)
        else:
            self._answers[token] = answer

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.behind.start()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and abort every connection."""
        await self.stop()
        await self.behind.stop()

    async def start(self) -> None:
        """Listen; after a stop, on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and end every connection."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, ValueError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        raw = await reader.readuntil(b"\r\n\r\n")
        head = parse_head(raw)
        body = await reader.readexactly(int(head.get("content-length") or "0"))
        if head.target.partition("?")[0] != _QUESTION:
            self.others.append(replace(head, body=body))
        token = _token(head.get("authorization"), body)
        if token is None:
            self.probes += 1
        else:
            self.questions[token] += 1
            if (answer := self._answers.get(token)) is not None:
                await answer(writer)
                await writer.drain()
                return False
        response = await self._ask(raw + body)
        writer.write(response)
        await writer.drain()
        return head.get("connection").lower() != "close"

    async def _ask(self, request: bytes) -> bytes:
        """Return the answer of the `FakeAuth`."""
        host, port = self.behind.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            raw = await reader.readuntil(b"\r\n\r\n")
            return raw + await reader.readexactly(int(parse_head(raw).get("content-length") or "0"))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _token(authorization: str, body: bytes) -> str | None:
    """Return the token that a question is about."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    with contextlib.suppress(ValueError, AttributeError):
        token = json.loads(body).get("token")
        if isinstance(token, str):
            return token
    return None


def raw(data: bytes) -> Answer:
    """Answer with these bytes, whatever they are."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return write


def status(code: int, body: bytes = b"{}") -> Answer:
    """Answer with this status and this body."""
    return raw(
        f"HTTP/1.1 {code} Some Words\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n".encode()
        + body
    )


def valid(user_id: object, **fields: object) -> Answer:
    """Answer that the token is valid."""
    return status(200, json.dumps({"valid": True, "user_id": user_id, **fields}).encode())


async def never(writer: asyncio.StreamWriter) -> None:
    """Do not answer, and keep the connection open."""
    del writer
    await asyncio.get_running_loop().create_future()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Reset the connection instead of answering."""
    writer.transport.abort()
