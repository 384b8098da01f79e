"""One connection to Auth, kept open: a question is one write, its answer is parsed as it comes (RFC 9112)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from memmie_gateway.core.verdicts import AuthUnavailableError

MAX_ANSWER: Final = 64 * 1024
"""Bytes of the body of an answer of Auth."""

MAX_WRAPPING: Final = 32 * 1024
"""Bytes of an answer that are not its body: its head, interim answers before it, what chunks are wrapped in."""

_SIZED_BY: Final = frozenset({b"content-length", b"transfer-encoding"})

_CLOSED: Final = "Auth cannot be reached (it closed the connection)"
_NO_HTTP: Final = "Auth cannot be reached (its answer is not HTTP)"
_TOO_LARGE: Final = "Auth's answer is too large"
_DROPPED: Final = "the connection to Auth was dropped"


class AuthConnection(asyncio.Protocol):
    """Takes one question at a time.

    Args:
        on_end: is told when it can take no more questions; more than once, perhaps.

    Attributes:
        reusable: whether it may be asked another question: the answer to the last one was complete, nothing came
            behind it, and Auth keeps the connection open.
        received: bytes that came since the last question was asked.
        idle_since: the loop's time at which it was put aside; whoever keeps it says so.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_body_bytes",
        "_in_body",
        "_keep_alive",
        "_on_end",
        "_parser",
        "_sized",
        "_status",
        "_transport",
        "idle_since",
        "received",
        "reusable",
    )

    def __init__(self, on_end: Callable[[AuthConnection], None]) -> None:
        self._on_end = on_end
        self._parser: httptools.HttpResponseParser | None = None  # while it is open: they refer to each other
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._status = 0  # of the answer, once that is complete
        self._keep_alive = False
        self._in_body = False
        self._sized = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self.reusable = False
        self.received = 0
        self.idle_since = 0.0
        self._transport: asyncio.Transport

    def __repr__(self) -> str:
        return f"<AuthConnection reusable={self.reusable} received={self.received}>"

    async def ask(self, question: bytes) -> tuple[int, bytes]:
        """Send a request and return status and body of its answer.

        Raises:
            AuthUnavailableError: there was no answer that can be read; if `received` is 0, none at all.
        """
        self.reusable = False
        self.received = self._status = self._body_bytes = 0
        self._in_body = self._sized = False
        self._body = []
        if self._transport.is_closing():
            raise AuthUnavailableError(_CLOSED)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(question)
        return await self._answer

    def close(self, words: str = _DROPPED) -> None:
        """Close it at once.

        Args:
            words: what a question under way fails with.
        """
        self.reusable = False
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(AuthUnavailableError(words))
        self._transport.abort()
        self._on_end(self)

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Read the answer, or a part of it."""
        parser = self._parser
        if parser is None or self._answer is None:
            self.close()  # nobody has asked: it would pass for the answer to the next question
            return
        self.received += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._status:
                self.close(_NO_HTTP)
                return  # else it is behind the answer, and an answer that has begun there has been noticed
        if self._body_bytes > MAX_ANSWER or self.received - self._body_bytes > MAX_WRAPPING:
            self.close(_TOO_LARGE)
        elif self._status:
            self._succeed()

    def eof_received(self) -> None:
        """Auth closes it, which is also how a body without a length ends."""
        if self._parser is not None and self._in_body and not self._sized:
            self._status = self._parser.get_status_code()
            self._keep_alive = False
            self._succeed()
        self.close(_CLOSED)

    def connection_lost(self, _: Exception | None) -> None:
        """It is gone."""
        self.close(_CLOSED)
        self._parser = None

    # Called by the parser.

    def on_message_begin(self) -> None:
        """An answer begins, the first one or one that nobody asked for."""
        if self._status:
            self._keep_alive = False

    def on_header(self, name: bytes, _: bytes) -> None:
        """Note whether the body says where it ends."""
        if name.lower() in _SIZED_BY:
            self._sized = True

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._status:
            self._body.append(body)
            self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        """An answer is complete, unless it is an interim one (1xx): then the next one is read."""
        assert self._parser is not None  # noqa: S101 - it is what calls this
        status = self._parser.get_status_code()
        if self._status:
            return
        if status < 200:
            self._in_body = self._sized = False
        else:
            self._status = status
            self._keep_alive = self._parser.should_keep_alive()

    # The outcome.

    def _succeed(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            self.reusable = self._keep_alive
            answer.set_result((self._status, b"".join(self._body)))
