"""The client's side of a forwarded request: its body comes in, the answer goes out, both with back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import httptools

from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.handover import Handover, Holder
from memmie_gateway.net.ingress.body import MAX_FRAMING, BodyLimit

MAX_WAITING: Final = 64 * 1024
"""Number of bytes of a body that wait for the service; beyond this, the client is not read."""

MAX_BEHIND: Final = 64 * 1024
"""Number of bytes behind the request that a client may send; they are dropped. Beyond this its connection is aborted."""

MAX_OVERHEAD: Final = 16
"""How many times the size of its content a chunked body may have on the wire; a chunk of one byte has six."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientSide(asyncio.Protocol):
    """The client's connection while its request is forwarded.

    The head is parsed again with the body, because then both are read by the same rules.

    Args:
        request: the request.
        handover: holds the connection; its bytes begin with the head of the request, unless `with_head` is false.
        holder: told when the connection has ended.
        max_body: maximum size of the body.
        on_moved: called when the client has sent or taken something.
        on_blocked: called when the client begins to take nothing.
        on_gone: called once when the client has left, also if it has only closed its own direction.
        with_head: false for a request without a body of which the head is not there any more.

    Attributes:
        transport: the connection.
        received: number of bytes of the body received.
        complete: whether the whole body has been received.
        gone: whether the client has left.
        error: why the body is refused; None if it is not.
        blocked: whether the client takes nothing for now, although bytes wait for it.
        starved: whether the rest of the body is awaited.
        marked: whether the target ends with the question mark of an empty query.
    """

    def __init__(
        self,
        request: Request,
        handover: Handover,
        holder: Holder,
        *,
        max_body: BodyLimit,
        on_moved: Callable[[], None],
        on_blocked: Callable[[], None],
        on_gone: Callable[[], None],
        with_head: bool = True,
    ) -> None:
        self._max_body = max_body
        self._on_moved = on_moved
        self._on_blocked = on_blocked
        self._on_gone = on_gone
        self._holder = holder
        self._parts: list[bytes] = []
        self._waiting = 0
        self._behind = 0
        self._framing = 0
        self._paused = False
        self._wake: asyncio.Future[None] | None = None  # waits for the body
        self._room: asyncio.Future[None] | None = None  # waits until the client takes more of the answer
        self._expects = request.version == "1.1" and request.headers.has(b"expect", b"100-continue")
        self._parser = httptools.HttpRequestParser(self) if with_head else None
        self.received = 0
        self.complete = not with_head
        self.gone = False
        self.error: RefusedError | None = None
        self.blocked = False
        self.transport = handover.transport
        early = handover.take(self)
        self.marked = b"? " in early.lstrip(b"\r\n").partition(b"\n")[0]  # a request does not keep it
        self._head_bytes = len(early)
        self.transport.resume_reading()  # it is paused if many bytes came with the head
        self.data_received(early)

    def __repr__(self) -> str:
        return f"<ClientSide received={self.received}{' complete' * self.complete}{' gone' * self.gone}>"

    @property
    def starved(self) -> bool:
        """Whether the rest of the body is awaited."""
        return self._wake is not None

    # The request.

    async def read(self) -> bytes:
        """Return the next part of the body, b"" at its end.

        Raises:
            RefusedError: the body is invalid or too large.
        """
        while not self._parts:
            if self.error is not None:
                raise self.error
            if self.complete:
                return b""
            if self._expects:
                self._expects = False
                self.transport.write(_CONTINUE)
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        data = b"".join(self._parts)
        self._parts.clear()
        self._waiting = 0
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()
        return data

    # The answer.

    async def write(self, data: bytes) -> None:
        """Send a part of the answer, and wait until the client has room for more."""
        self._expects = False  # the answer has begun
        self.transport.write(data)
        while self.blocked and not self.gone:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def end(self, last_words: bytes) -> None:
        """Send the last bytes and close the connection."""
        linger = not self.complete
        self._leave()
        Handover(self.transport, b"", self._holder).end(last_words, linger=linger)

    def abort(self) -> None:
        """Drop the connection at once, so that the client notices that the answer is not complete."""
        self._leave()
        self.transport.abort()

    def _leave(self) -> None:
        self._parser = None  # break the reference cycle
        self._parts.clear()

    # Called by the loop.

    def data_received(self, data: bytes) -> None:
        """Read a part of the body."""
        parser = self._parser
        if self.complete or self.error is not None or parser is None:
            self._behind += len(data)
            if self._behind > MAX_BEHIND:
                self.transport.abort()
            return
        self._on_moved()
        self._framing += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # it is refused
        except httptools.HttpParserError:
            if not self.complete:
                self._fail(RefusedError(Cause.BAD_REQUEST, "the request body is invalid"))
        if self._framing - self._head_bytes > MAX_FRAMING + MAX_OVERHEAD * self.received:
            self._fail(RefusedError(Cause.BAD_REQUEST, "the request body has too much framing"))
        if self._waiting > MAX_WAITING and not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has closed its direction, and usually the other one, too: that looks the same."""
        self._lost()
        return False

    def connection_lost(self, _: Exception | None) -> None:
        """The connection is gone."""
        self._lost()
        self._holder.lost()

    def pause_writing(self) -> None:
        """The client takes the answer too slowly."""
        self.blocked = True
        self._on_blocked()

    def resume_writing(self) -> None:
        """The client has taken most of what waited for it."""
        self.blocked = False
        self._on_moved()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _lost(self) -> None:
        if not self.gone:
            self.gone = True
            if self._room is not None and not self._room.done():
                self._room.set_result(None)
            self._on_gone()

    # Called by the parser.

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        self.received += len(part)
        most = self._max_body.max_bytes
        if most and self.received > most:
            self._fail(self._max_body.refusal())
            return
        self._parts.append(part)
        self._waiting += len(part)
        self._wake_up()

    def on_message_complete(self) -> None:
        """The body is complete; what comes behind it is not read."""
        if self.error is None:
            self.complete = True
        self._wake_up()

    def _fail(self, error: RefusedError) -> None:
        if self.error is None and not self.complete:
            self.error = error
            self._parts.clear()
            self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
