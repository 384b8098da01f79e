"""Reads the body of a request, with limits on its size."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import httptools

from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.handover import Handover

MAX_FRAMING: Final = 64 * 1024
"""Maximum number of bytes of a chunked body that are not part of its content, such as the sizes of chunks."""


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """A limit for the size of bodies.

    Attributes:
        max_bytes: maximum size in bytes; 0 for no limit.
        setting: the name of the setting that changes it, "" for none; it is for the operator, and only the log has it.
    """

    max_bytes: int
    setting: str = ""

    def refusal(self) -> RefusedError:
        """Return the refusal of a body that is larger."""
        words = f"the request body is larger than {self.max_bytes} bytes"
        advice = f"{words}; {self.setting} sets this limit" if self.setting else ""
        return RefusedError(Cause.BODY_TOO_BIG, words, internal=advice)


async def read_body(request: Request, handover: Handover, limit: BodyLimit) -> bytes:
    """Read the body of a request.

    Args:
        request: the request.
        handover: holds the connection; its bytes begin with the head of the request.
        limit: maximum size of the body, which is not 0.

    Raises:
        RefusedError: the body is too large, invalid or incomplete.
    """
    if int(request.headers.one(b"content-length") or 0) > limit.max_bytes:
        raise limit.refusal()  # before the client is asked for it
    reader = _BodyReader(handover, limit)
    if not reader.done and request.version == "1.1" and request.headers.has(b"expect", b"100-continue"):
        handover.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await reader.body()


class _BodyReader(asyncio.Protocol):
    """Reads the body, and then gives the connection back.

    The head is parsed again with the body, because then both are read by the same rules.
    """

    def __init__(self, handover: Handover, limit: BodyLimit) -> None:
        self._handover = handover
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        early = handover.lend(self)
        self._room = len(early) + limit.max_bytes + MAX_FRAMING
        handover.transport.resume_reading()
        self.data_received(early)

    @property
    def done(self) -> bool:
        """Whether nothing more has to be read."""
        return self._body.done()

    async def body(self) -> bytes:
        try:
            return await self._body
        finally:
            self._parser = None  # break the reference cycle
            self._handover.give_back(b"")

    # Called by the loop.

    def data_received(self, data: bytes) -> None:
        if self._body.done():
            return
        assert self._parser is not None  # noqa: S101 - until the body is read
        self._room -= len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # of another protocol than WebSocket, and it is not accepted
        except httptools.HttpParserError:
            self._fail(RefusedError(Cause.BAD_REQUEST))
        if self._room < 0:
            words = f"the request body has more than {MAX_FRAMING} bytes of framing"
            self._fail(RefusedError(Cause.BODY_TOO_BIG, words))

    def eof_received(self) -> bool:
        self._fail(RefusedError(Cause.BAD_REQUEST, "the request body is incomplete"))
        return self._handover.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._handover.connection_lost(exc)

    # Called by the parser.

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit.max_bytes:
            self._fail(self._limit.refusal())
        else:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        if not self._body.done():
            self._body.set_result(b"".join(self._parts))

    def _fail(self, error: RefusedError) -> None:
        if not self._body.done():
            self._body.set_exception(error)
