"""A reader of HTTP/1.1 responses, with limits on their size and without any I/O (RFC 9112)."""

from __future__ import annotations

from typing import Final

import httptools

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.response import Response

MAX_BODY: Final = 64 * 1024
"""Maximum size in bytes of the body of a response."""

MAX_HEAD: Final = 32 * 1024
"""Maximum size in bytes of all other parts of a response: head, interim responses, chunk sizes, trailers."""

_NO_FIELDS: Final = Headers()


class HttpError(Exception):
    """A service gave no usable response; the message says what happened, for the log."""


class TooLargeError(HttpError):
    """A response is too large."""


class ResponseReader:
    """Reads the responses on one connection, one after the other.

    Call `expect` before each request, `feed` with all bytes received, and `end` when the connection ends.

    Attributes:
        received: number of bytes since the last request.
        keep_alive: whether another request can be sent: the response was complete, nothing came after it, and the
            service keeps the connection open.
        upgraded: whether the response was a 101 to a request for an upgrade, after which the bytes are not HTTP.
        early: the bytes received after that 101.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_complete",
        "_fields",
        "_headers",
        "_parser",
        "_status",
        "_upgrade",
        "early",
        "keep_alive",
        "received",
        "upgraded",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.upgraded = False
        self.early = b""
        self.expect()

    def __repr__(self) -> str:
        return (
            f"<ResponseReader status={self._status} received={self.received}{' complete' * self._complete}>"
        )

    def expect(self, *, upgrade: bool = False) -> None:
        """Expect the response to a new request.

        Args:
            upgrade: whether the request asks for an upgrade, so that a 101 is the final response. Then the body of a 4xx
                is read up to `MAX_BODY`, and of any other response only the head.
        """
        self._upgrade = upgrade
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: Headers | None = None  # until the head of the final response is complete
        self._status = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._complete = False
        self.received = 0
        self.keep_alive = False

    def feed(self, data: bytes) -> Response | None:
        """Read received bytes; return the response when it is complete, otherwise None.

        Raises:
            HttpError: the response is not HTTP, or is an upgrade that the request did not ask for.
            TooLargeError: the response is too large.
        """
        assert self._parser is not None, "closed"  # noqa: S101 - this would be a bug here, not in a peer
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.upgraded:
                self.early = data[upgrade.args[0] :]
            elif not self._complete:
                raise HttpError("the answer is an upgrade, but the gateway did not request one") from None
        except httptools.HttpParserError as error:
            if not self._complete:
                raise HttpError(f"the answer is not HTTP: {error}") from None
            self.keep_alive = False  # the error is after the response
        if self.received - self._body_bytes - len(self.early) > MAX_HEAD:
            raise TooLargeError("the head of the answer is too large")
        if self._body_bytes > MAX_BODY and not self._upgrade:
            raise TooLargeError("the answer is too large")
        return self._response() if self._complete else None

    def end(self, *, broken: bool) -> Response | None:
        """Return the response if the end of the connection completes it, otherwise None.

        Args:
            broken: whether the connection was lost, instead of closed by the service.
        """
        headers = self._headers
        if headers is None or self._complete:
            return None
        sized = headers.all(b"content-length") or headers.all(b"transfer-encoding")
        if not self._upgrade and (broken or sized):
            return None
        return self._response()

    def close(self) -> None:
        """Stop reading, and break the reference cycle with the parser."""
        self._parser = None

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Note that another response begins after the expected one."""
        if self._complete:
            self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header field; trailers arrive too late to be in the response."""
        self._fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Store the head, unless it is that of an interim response (1xx)."""
        assert self._parser is not None  # noqa: S101 - it is what calls this
        if self._complete:
            return
        status = self._parser.get_status_code()
        upgraded = self._upgrade and status == 101
        if status < 200 and not upgraded:
            self._fields = []
            return
        self._status = status
        self._headers = Headers(tuple(self._fields))
        self.upgraded = upgraded
        self._complete = self._upgrade and not 400 <= status < 500

    def on_body(self, body: bytes) -> None:
        """Store a part of the body."""
        self._body_bytes += len(body)
        if self._complete:
            return
        self._body.append(body)
        if self._upgrade and self._body_bytes >= MAX_BODY:
            self._complete = True

    def on_message_complete(self) -> None:
        """Note that a response is complete."""
        assert self._parser is not None  # noqa: S101 - it is what calls this
        if self._headers is not None and not self._complete:
            self._complete = True
            self.keep_alive = self._parser.should_keep_alive()

    def _response(self) -> Response:
        body = b"".join(self._body)
        return Response(self._status, self._headers or _NO_FIELDS, body[:MAX_BODY])
