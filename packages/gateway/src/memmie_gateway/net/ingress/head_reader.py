"""Reads the request head of a connection.

Bytes, fields and time of a head are limited, so that a connection without a complete request costs little. Then the
connection is handed over to the route of its path, or, with all bytes received, to the HTTP routes.
"""

from __future__ import annotations

import asyncio
import time
from typing import cast

import httptools

from memmie_gateway.core.http.client_address import plain
from memmie_gateway.core.http.headers import Fields
from memmie_gateway.core.http.refusals import RefusedError, refusal_answer
from memmie_gateway.core.http.request import BadRequestError, Request
from memmie_gateway.core.http.response import Envelope
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.listener import Listener, Refusal


class HeadReader(asyncio.Protocol):
    """Reads one request head, and hands the connection over.

    Args:
        listener: limits and counts the connection, and says where it goes.

    Attributes: see `listener.Pending`.
    """

    __slots__ = (
        "_complete",
        "_fields",
        "_head",
        "_head_complete",
        "_headers",
        "_listener",
        "_method",
        "_parser",
        "_target",
        "_version",
        "counted",
        "handover",
        "peer",
        "transport",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._head = bytearray()
        self._head_complete = False
        self._complete = False
        self._method = b""
        self._target = b""
        self._version = ""
        self._headers: list[tuple[bytes, bytes]] = []  # of the head that is being read
        self._fields: Fields = ()  # of the first head, once it is complete
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self.counted = ""
        self.handover: Handover | None = None
        self.peer = ""
        self.transport: asyncio.Transport

    def __repr__(self) -> str:
        return f"<HeadReader {self.peer}>"

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the head, or refuse the client if a limit is reached."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        name = transport.get_extra_info("peername")
        self.peer = plain(str(name[0])) if name else "0.0.0.0"  # noqa: S104 - it is gone already
        if problem := self._listener.enter(self):
            self._refuse(problem, linger=False)
            return
        self._listener.heads.start(self)

    def data_received(self, data: bytes) -> None:
        """Read the head."""
        parser = self._parser
        assert parser is not None  # noqa: S101 - until the connection is handed over
        room = self._listener.options.max_head_bytes - len(self._head)
        self._head += data
        behind = len(data)
        broken = False
        try:
            parser.feed_data(data[:room])
        except httptools.HttpParserUpgrade as upgrade:
            behind = upgrade.args[0]  # the parser stops after the head of a request that asks for an upgrade
        except httptools.HttpParserError:
            broken = not self._complete
        headers = self._fields if self._head_complete else self._headers
        if len(headers) > self._listener.options.max_headers:
            self._refuse(Cause.HEAD_TOO_BIG, "too many header fields")
        elif broken:
            self._refuse(Cause.BAD_REQUEST)
        elif self._head_complete:
            self._route(data[behind:])
        elif self._is_http_0_9(parser):
            self._refuse(Cause.BAD_REQUEST)
        elif len(data) >= room:
            in_url = parser.get_http_version() == "0.0"
            self._refuse(Cause.URL_TOO_LONG if in_url else Cause.HEAD_TOO_BIG)

    def eof_received(self) -> bool:
        """Close the connection, because without a complete head there is no request to answer."""
        return False

    def connection_lost(self, _: Exception | None) -> None:
        """The connection was lost before the head was complete."""
        self.lost()

    # Called by the handover, which holds the connection from the end of the head on.

    def taken(self) -> None:
        """The connection has another owner now."""
        self._listener.leave(self)

    def lost(self) -> None:
        """The connection has ended."""
        self._listener.leave(self)
        self._stop_reading()

    # Called by the listener.

    def late(self) -> None:
        """The head has not come in time."""
        self._refuse(Cause.HEAD_LATE, linger=False)

    # Called by the parser. A client may send further requests after the first one; only the first one is read.

    def on_url(self, url: bytes) -> None:
        """Store a part of the request target."""
        if not self._head_complete:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header field. This runs so often that the limits are checked elsewhere."""
        self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        parser = self._parser
        if parser is not None and not self._head_complete:
            # Now, because a further request in the same read changes what the parser returns.
            self._method, self._version = parser.get_method(), parser.get_http_version()
            self._fields, self._headers = tuple(self._headers), []
            self._head_complete = True

    def on_message_complete(self) -> None:
        """The first request is complete, with its body; what comes behind it is not read."""
        self._complete = True

    # Where the connection goes.

    def _is_http_0_9(self, parser: httptools.HttpRequestParser) -> bool:
        """Tell whether the request line has no version, so that the parser waits for headers that do not come."""
        limit = self._listener.options.max_head_bytes
        return parser.get_http_version() == "0.0" and b"\n" in self._head[:limit].lstrip(b"\r\n")

    def _route(self, early: bytes) -> None:
        try:
            request = Request.parse(self._method, self._target, self._version, self._fields)
        except BadRequestError as error:
            self._refuse(Cause.BAD_REQUEST, str(error))
            return
        arrival = self._listener.arrival(self.peer, request)
        route = self._listener.handlers.routes.get(request.path)
        if route is not None:
            if request.method == "POST":
                early = bytes(self._head)  # the parser does not tell where the body begins (see `body`)
            route(arrival, self._hand_over(early))
            return
        cause = self._listener.enter_http(self, arrival.client)
        if cause is not None:
            refusal = Refusal.of(arrival, RefusedError(cause))
            self._listener.handlers.refused(refusal)
            answers.refuse(arrival, self._hand_over(), refusal.error)
            return
        handover = self._hand_over(bytes(self._head))
        handover.answers_half_closed = True
        self._listener.handlers.http(arrival, handover)

    def _hand_over(self, early: bytes = b"") -> Handover:
        self._stop_reading()
        self.handover = Handover(self.transport, early, self)
        return self.handover

    def _stop_reading(self) -> None:
        self._parser = None  # break the reference cycle
        self._head = bytearray()
        self._headers = []
        self._listener.heads.stop(self)

    # Refusals.

    def _refuse(self, cause: Cause, detail: str = "", *, linger: bool = True) -> None:
        """Refuse an invalid request, or one that came too late."""
        error = RefusedError(cause, detail)
        request_id = self._listener.new_id()
        method = "HEAD" if self._head.startswith(b"HEAD ") else ""
        self._listener.handlers.refused(Refusal(self.peer, error, request_id))
        answer = refusal_answer(error, Envelope(request_id, method, time.time()))
        self._hand_over().end(answer, linger=linger)
