"""The listener: reads the request head of every connection.

Bytes, fields and time of a head are limited, so that a connection without a complete request costs little. Then the
connection is handed over to the route of its path, or, with all bytes received, to the HTTP server.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import httptools

from memmie_gateway.core.http.arrival import RANDOM_BITS, Arrival, arrive
from memmie_gateway.core.http.client_address import Client, Network, find_client, is_trusted, limit_key, plain
from memmie_gateway.core.http.refusals import RefusedError, refusal_answer
from memmie_gateway.core.http.request import BadRequestError, Request
from memmie_gateway.core.limits import SlotCounts
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.websocket.handshake import is_upgrade
from memmie_gateway.net import clock
from memmie_gateway.net.handover import Handover

RESERVE: Final = 64
"""Number of connections beyond the maximum that are accepted for `/health`, `/ready` and `/metrics`."""

SPARE: Final = 16
"""Difference between the limits on unanswered requests and on WebSockets from one address.

It leaves room for requests such as `/health`, and for connections that are closing. Without a limit, one client that
sends nothing could exhaust the accept capacity."""

Route = Callable[[Arrival, Handover], None]
"""A function that serves a request; if it has to wait, the rest runs as the task of the handover."""

Routes = Mapping[str, Route]
"""Routes by path."""


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """The limits at the listener.

    Attributes:
        max_head_bytes: maximum size in bytes of request line and headers together.
        max_headers: maximum number of header fields.
        head_seconds: maximum time in seconds from accepting the connection to the end of the head.
        max_connections: maximum number of WebSockets and requests in this process.
        max_connections_per_address: maximum number of WebSockets from one address; 0 for no limit. The maximum number
            of connections with an unanswered request is higher by `SPARE`.
        trusted_proxies: networks that may send X-Forwarded headers, and have no limit by address here.
    """

    max_head_bytes: int
    max_headers: int
    head_seconds: float
    max_connections: int
    max_connections_per_address: int
    trusted_proxies: tuple[Network, ...]


class Refusal(NamedTuple):
    """A client that was not admitted, for logs and metrics.

    Attributes:
        address: the client's address.
        error: the reason.
        path: the path of the request, "" if the request was invalid.
        request_id: the request id, "" if the request was invalid.
        user_id: the user, "" if the token was not validated.
        backend: the URL of the last backend that was tried, "" for none.
        close_code: the code of the Close frame for the client; None if it gets none.
    """

    address: str
    error: RefusedError
    path: str = ""
    request_id: str = ""
    user_id: str = ""
    backend: str = ""
    close_code: int | None = None

    @classmethod
    def of(cls, arrival: Arrival, error: RefusedError) -> Refusal:
        """Make one for a client with a valid request."""
        return cls(arrival.client.address, error, arrival.request.path, arrival.id)


@dataclass(frozen=True, slots=True)
class Handlers:
    """The functions that the listener calls.

    Attributes:
        routes: serve all requests for the paths of routes, with or without an upgrade.
        http: creates a protocol that serves all other requests.
        refused: called whenever the listener refuses a client.
        connections: returns the number of live connections that were handed over.
    """

    routes: Routes
    http: Callable[[], asyncio.Protocol]
    refused: Callable[[Refusal], None]
    connections: Callable[[], int]


class Listener:
    """Creates a protocol for every accepted connection, and counts connections with an unanswered request.

    Args:
        options: the limits.
        handlers: the functions to call.
        rng: creates the ids of requests.

    Attributes:
        pending: the connections with an unanswered request.
    """

    def __init__(self, options: ListenerOptions, handlers: Handlers, rng: random.Random) -> None:
        self.options = options
        self.handlers = handlers
        self.pending: set[HeadReader] = set()
        self._rng = rng
        self._by_address = SlotCounts()

    def __repr__(self) -> str:
        return f"<Listener pending={len(self.pending)}>"

    def __call__(self) -> asyncio.Protocol:
        """Create a protocol for a new connection."""
        return HeadReader(self)

    def enter(self, reader: HeadReader) -> Cause | None:
        """Count a connection until `leave`; return a cause if it must be refused, otherwise None."""
        self.pending.add(reader)
        if self.full(RESERVE):
            return Cause.GATEWAY_FULL
        most = self.options.max_connections_per_address
        if self._by_address.acquire(reader.address_key, most + SPARE if most else 0):
            reader.counted = True
        elif not is_trusted(plain(reader.peer), self.options.trusted_proxies):
            return Cause.ADDRESS_FULL
        return None

    def leave(self, reader: HeadReader) -> None:
        """Stop counting a connection that has ended or has another owner."""
        self.pending.discard(reader)
        if reader.counted:
            reader.counted = False
            self._by_address.release(reader.address_key)

    def full(self, reserve: int = 0) -> bool:
        """Tell whether there are more connections than the maximum plus `reserve`."""
        return len(self.pending) + self.handlers.connections() > self.options.max_connections + reserve

    def client_of(self, peer: str, request: Request) -> Client:
        """Return the address of the client that sent a request."""
        trusted = self.options.trusted_proxies
        return find_client(peer, request.headers.elements(b"x-forwarded-for") if trusted else (), trusted)

    def arrival(self, peer: str, request: Request) -> Arrival:
        """Return the arrival for a request, with its client and ids."""
        # Random bits for all ids at once: asking the system costs more than making the ids.
        return arrive(request, self.client_of(peer, request), self._rng.getrandbits(RANDOM_BITS))

    async def stop(self) -> None:
        """Refuse every client that waits to be admitted, and abort all other pending connections."""
        await asyncio.sleep(
            0
        )  # connections that the loop has just accepted are pending only after its next turn
        handovers = [reader.handover for reader in self.pending if reader.handover is not None]
        for handover in handovers:
            handover.cancel()
        tasks = [handover.task for handover in handovers if handover.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a loop may write buffered data to the socket only at the end of its turn
        for reader in list(self.pending):
            reader.transport.abort()


class HeadReader(asyncio.Protocol):
    """Reads one request head, and hands the connection over.

    Attributes:
        transport: the connection.
        peer: the address of the TCP peer.
        counted: whether it is counted for the limit by address.
        handover: holds the connection after the head is read or the client is refused; None before.
    """

    __slots__ = (
        "_head",
        "_head_complete",
        "_headers",
        "_listener",
        "_max_headers",
        "_method",
        "_parser",
        "_target",
        "_timer",
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
        self._method = b""
        self._target = b""
        self._version = ""
        self._headers: list[tuple[bytes, bytes]] = []
        self._max_headers = listener.options.max_headers
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self.counted = False
        self.handover: Handover | None = None
        self.peer = ""
        self.transport: asyncio.Transport

    def __repr__(self) -> str:
        return f"<HeadReader {self.peer}>"

    @property
    def address_key(self) -> str:
        """The key for limits by address."""
        return limit_key(plain(self.peer))

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the head, or refuse the client if a limit is reached."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else "0.0.0.0"  # noqa: S104 - it is gone already
        if problem := self._listener.enter(self):
            self._refuse(problem, linger=False)
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Read the head."""
        parser = self._parser
        assert parser is not None  # noqa: S101 - until the connection is handed over
        room = self._listener.options.max_head_bytes - len(self._head)
        self._head += data
        behind = len(data)
        try:
            parser.feed_data(data[:room])
        except httptools.HttpParserUpgrade as upgrade:
            behind = upgrade.args[0]  # the parser stops after the head of a request that asks for an upgrade
        except httptools.HttpParserError as error:
            if not self._head_complete:
                self._refuse_head(error)
                return
        if self._head_complete:
            self._route(data[behind:])
        elif parser.get_http_version() == "0.0" and b"\n" in self._head.lstrip(b"\r\n"):
            # A request line without a version is HTTP/0.9. The parser would wait for headers, which HTTP/0.9 does not have.
            self._refuse(Cause.BAD_REQUEST)
        elif len(data) >= room:
            self._refuse(Cause.HEAD_TOO_BIG)

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

    # Called by the parser. A client may send further requests after the first one; only the first one is read.

    def on_url(self, url: bytes) -> None:
        """Store a part of the request target."""
        if not self._head_complete:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header field."""
        if not self._head_complete:
            headers = self._headers
            if len(headers) == self._max_headers:
                raise OverflowError
            headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        parser = self._parser
        if parser is not None and not self._head_complete:
            # Now, because a further request in the same read changes what the parser returns.
            self._method, self._version = parser.get_method(), parser.get_http_version()
            self._head_complete = True

    # Where the connection goes.

    def _route(self, early: bytes) -> None:
        try:
            request = Request.parse(self._method, self._target, self._version, tuple(self._headers))
        except BadRequestError as error:
            self._refuse(Cause.BAD_REQUEST, str(error))
            return
        route = self._listener.handlers.routes.get(request.path)
        if route is not None:
            arrival = self._listener.arrival(self.peer, request)
            route(arrival, self._hand_over(early))
        elif is_upgrade(request):
            arrival = self._listener.arrival(self.peer, request)
            self._end(Refusal.of(arrival, RefusedError(Cause.NO_ROUTE)), linger=False)
        else:
            self._serve_http()

    def _serve_http(self) -> None:
        """Give the connection and all its bytes to the HTTP server."""
        server = self._listener.handlers.http()
        head = bytes(self._head)
        self._hand_over().take(server)
        server.connection_made(self.transport)
        server.data_received(head)

    def _hand_over(self, early: bytes = b"") -> Handover:
        self._stop_reading()
        self.handover = Handover(self.transport, early, self)
        return self.handover

    def _stop_reading(self) -> None:
        self._parser = None  # break the reference cycle
        self._head = bytearray()
        self._headers = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Refusals.

    def _refuse(self, cause: Cause, detail: str = "", *, linger: bool = True) -> None:
        self._end(Refusal(self.peer, RefusedError(cause, detail)), linger=linger)

    def _end(self, refusal: Refusal, *, linger: bool) -> None:
        self._listener.handlers.refused(refusal)
        self._hand_over().end(refusal_answer(refusal.error), linger=linger)

    def _refuse_head(self, error: httptools.HttpParserError) -> None:
        if isinstance(error.__context__, OverflowError):
            self._refuse(Cause.HEAD_TOO_BIG, "too many header fields")
        else:
            self._refuse(Cause.BAD_REQUEST)

    def _wait_for_head(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(
            self._listener.options.head_seconds, self._late, clock.pauses()
        )

    def _late(self, pauses: int) -> None:
        if clock.pauses() != pauses:
            self._wait_for_head()  # the gateway itself was stopped, and the head may have come meanwhile
        else:
            self._refuse(Cause.HEAD_LATE, linger=False)
