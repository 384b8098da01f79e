"""An HTTP/1.1 connection to a service, for one request at a time."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final, cast

from memmie_gateway.core.http.response import Response
from memmie_gateway.net.http1.response_reader import HttpError, ResponseReader

MAX_EARLY: Final = 64 * 1024
"""Maximum number of bytes to buffer after a 101 until the next owner takes over; beyond this, reading is paused."""

_CLOSED: Final = "the service closed the connection without a complete answer"
_DROPPED: Final = "the gateway dropped the connection"
_UNASKED: Final = "the service sent data without a request"


class HttpConnection(asyncio.Protocol):
    """Sends requests, one at a time, and reads the responses.

    Args:
        on_end: called when the connection cannot be used any more; possibly more than once.

    Attributes:
        transport: the connection.
        reusable: whether another request can be sent now.
        idle_since: the loop's time at which the pool put the connection aside.
    """

    __slots__ = ("_end", "_on_end", "_reader", "_response", "idle_since", "reusable", "transport")

    def __init__(self, on_end: Callable[[HttpConnection], None] | None = None) -> None:
        self._on_end = on_end
        self._response: asyncio.Future[Response] | None = None  # while one is awaited
        self._end = ""  # why it ended, once it has
        self._reader: ResponseReader
        self.transport: asyncio.Transport
        self.reusable = False
        self.idle_since = 0.0

    def __repr__(self) -> str:
        return f"<HttpConnection {self._end or 'open'} reusable={self.reusable}>"

    @property
    def received(self) -> int:
        """The number of bytes received since the last request."""
        return self._reader.received

    def quiet(self) -> bool:
        """Tell whether nothing was received after the last response, not even bytes that the loop has not read yet.

        Such bytes would be read as the response to the next request.
        """
        if self.transport.is_closing():
            return False
        waiting = select.poll()
        waiting.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not waiting.poll(0)

    async def request(self, data: bytes, *, upgrade: bool = False) -> Response:
        """Send a request and return its response.

        If the wait is cancelled, the caller must close the connection. Otherwise the late response would be read as the
        response to the next request.

        Args:
            data: the whole request.
            upgrade: whether the request asks for an upgrade (see `ResponseReader.expect`). After a 101, the next owner
                uses `transport` and `take_early`.

        Raises:
            HttpError: there was no usable response. If `received` is 0, nothing was received.
        """
        assert self._response is None, "one request at a time"  # noqa: S101 - this would be a bug here
        self.reusable = False
        self._reader.expect(upgrade=upgrade)
        if self.transport.is_closing():
            raise HttpError(self._end or _CLOSED)
        self._response = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return (
            await self._response
        )  # not held in a variable: with an error's traceback, it would be a reference cycle

    def take_early(self) -> bytes:
        """Return the bytes received after a 101; the next owner then reads from the transport itself."""
        early, self._reader.early = self._reader.early, b""
        return early

    def close(self, why: str = _DROPPED) -> None:
        """Drop the connection at once.

        Args:
            why: the message of the error that a request under way fails with.
        """
        self._fail(HttpError(why))

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._reader = ResponseReader()

    def data_received(self, data: bytes) -> None:
        """Read the response, or a part of it."""
        reader = self._reader
        if self._response is None:
            if reader.upgraded:
                self._keep(data)
            else:
                self.close(_UNASKED)  # otherwise this would be read as the response to the next request
            return
        try:
            response = reader.feed(data)
        except HttpError as error:
            self._fail(error)
            return
        if response is not None:
            self.reusable = reader.keep_alive
            self._succeed(response)

    def eof_received(self) -> None:
        """The service has closed its side, which also ends a body without a length."""
        self._ended(_CLOSED, broken=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._ended(f"the connection broke: {exc}" if exc else _CLOSED, broken=True)
        self._reader.close()

    # The outcome.

    def _keep(self, data: bytes) -> None:
        self._reader.early += data
        if len(self._reader.early) > MAX_EARLY:
            self.transport.pause_reading()

    def _ended(self, why: str, *, broken: bool) -> None:
        if self._reader.upgraded:
            return  # the next owner handles it: it gets a closing transport, and the bytes received
        if self._response is not None and (response := self._reader.end(broken=broken)):
            self._succeed(response)
        self.close(why)

    def _succeed(self, response: Response) -> None:
        awaited, self._response = self._response, None
        if self._reader.upgraded:
            self._reader.close()
        if awaited is not None and not awaited.done():
            awaited.set_result(response)

    def _fail(self, error: HttpError) -> None:
        self.reusable = False
        self._end = self._end or str(error)
        awaited, self._response = self._response, None
        if awaited is not None and not awaited.done():
            awaited.set_exception(error)
        self.transport.abort()
        if self._on_end is not None:
            self._on_end(self)
