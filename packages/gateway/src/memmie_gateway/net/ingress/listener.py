"""The edge: one listening port, where every connection begins with a request head.

A WebSocket upgrade goes to the connector. Anything else is handed over whole, socket and bytes, to the HTTP server.
The head is bounded in bytes, fields and time, so that a connection that has not said what it wants costs little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, cast

import httptools

from memmie_gateway.core.limits import ConcurrencyLimit, Network, is_trusted, limit_key, plain
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.refusals import RefusedError, refusal_answer
from memmie_gateway.core.request import BadRequestError, Request
from memmie_gateway.core.websocket.handshake import is_upgrade

WEBSOCKET_ROUTES: Final = frozenset({"/ws", "/websocket", "/api/v1/ws", "/socket.io/"})
"""Spec §1."""

_MAX_EARLY: Final = 64 * 1024
"""Bytes a client may send before its upgrade is answered; then it is paused."""

RESERVE: Final = 64
"""Connections beyond the bound that are still accepted, for `/health` and `/metrics`: a full gateway is not dead."""

SPARE: Final = 16
"""Connections that one address may have at the edge beyond the WebSockets it may have: some ask for `/health`, some are
on their way out. Without a bound, one client that says nothing could take every place there is."""

_LINGER_SECONDS: Final = 2.0
"""How long a refused client that is still sending may take to read the answer."""


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """The bounds of a request head.

    Attributes:
        max_head_bytes: of request line and headers together.
        max_headers: how many header fields.
        head_seconds: from accepting the connection to the end of the head.
        max_connections: WebSockets and requests at once, in this process.
        max_connections_per_address: WebSockets of one address; 0 for no limit. Of connections whose request is not
            yet answered it may have as many, and `SPARE`.
        trusted_proxies: for these it does not hold, as they speak for many.
    """

    max_head_bytes: int
    max_headers: int
    head_seconds: float
    max_connections: int
    max_connections_per_address: int
    trusted_proxies: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class EdgeHandlers:
    """Who takes over from the edge.

    Attributes:
        upgrade: lets a WebSocket client in, or refuses it.
        http: makes a protocol that serves everything else.
        refused: is told of every refusal the edge makes itself: peer, cause, detail.
        connections: counts the connections that are not the edge's any more.
    """

    upgrade: Callable[[EdgeProtocol, Request], Coroutine[Any, Any, None]]
    http: Callable[[], asyncio.Protocol]
    refused: Callable[[str, Request | None, Cause, str], None]
    connections: Callable[[], int]


class Edge:
    """Makes a protocol for every connection accepted, and counts them.

    Args:
        options: the bounds.
        handlers: who takes over.

    Attributes:
        pending: connections whose request is not yet answered.
    """

    def __init__(self, options: EdgeOptions, handlers: EdgeHandlers) -> None:
        self.options = options
        self.handlers = handlers
        self.pending: set[EdgeProtocol] = set()
        most = options.max_connections_per_address
        self._by_address = ConcurrencyLimit(most + SPARE if most else 0)

    def __repr__(self) -> str:
        return f"<Edge pending={len(self.pending)}>"

    def __call__(self) -> asyncio.Protocol:
        """Make a protocol for a new connection."""
        return EdgeProtocol(self)

    def enter(self, protocol: EdgeProtocol) -> Cause | None:
        """Count a connection whose request is to come, until it leaves; return why it may not stay, if it may not."""
        self.pending.add(protocol)
        if self.full(RESERVE):
            return Cause.GATEWAY_FULL
        if self._by_address.acquire(protocol.address_key):
            protocol.counted = True
        elif not is_trusted(plain(protocol.peer), self.options.trusted_proxies):
            return Cause.ADDRESS_FULL
        return None

    def leave(self, protocol: EdgeProtocol) -> None:
        """Count it no more: it is gone, or somebody else's."""
        self.pending.discard(protocol)
        if protocol.counted:
            protocol.counted = False
            self._by_address.release(protocol.address_key)

    def full(self, reserve: int = 0) -> bool:
        """Whether there are more connections than there may be, and `reserve` on top."""
        return len(self.pending) + self.handlers.connections() > self.options.max_connections + reserve

    async def stop(self) -> None:
        """Tell every connection that waits to be let in that it will not be, and drop all the others."""
        await asyncio.sleep(0)  # what the loop has just accepted is pending from its next turn on
        tasks = [protocol.task for protocol in self.pending if protocol.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a loop may hand what was written to the socket at the end of its turn only
        for protocol in list(self.pending):
            protocol.transport.abort()


class EdgeProtocol(asyncio.Protocol):
    """Reads one request head, and hands the connection on.

    Attributes:
        transport: the connection.
        peer: the address of the TCP peer.
        counted: it has one of its address's places at the edge.
        task: lets the client in, once the head asks for it.
    """

    __slots__ = (
        "_early",
        "_edge",
        "_head",
        "_head_complete",
        "_headers",
        "_parser",
        "_refused",
        "_target",
        "_timer",
        "counted",
        "peer",
        "task",
        "transport",
    )

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._head = bytearray()
        self._head_complete = False
        self._refused = False
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._early = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.counted = False
        self.peer = ""
        self.transport: asyncio.Transport

    def __repr__(self) -> str:
        return f"<EdgeProtocol {self.peer}>"

    @property
    def address_key(self) -> str:
        """The key for limits by address (see `core.limits`)."""
        return limit_key(plain(self.peer))

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the head, or refuse at once where the gateway is full."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else "0.0.0.0"  # noqa: S104 - nobody: it is gone already
        if problem := self._edge.enter(self):
            self._refuse(None, problem)
            return
        self._timer = asyncio.get_running_loop().call_later(self._edge.options.head_seconds, self._late)

    def data_received(self, data: bytes) -> None:
        """Read the head; what comes behind it waits."""
        parser = self._parser
        if parser is None:
            self._keep(data)
            return
        room = self._edge.options.max_head_bytes - len(self._head)
        self._head += data
        behind = len(data)
        try:
            parser.feed_data(data[:room])
        except httptools.HttpParserUpgrade as upgrade:
            behind = upgrade.args[0]  # the parser stops behind the head of a request that asks for an upgrade
        except httptools.HttpParserError as error:
            if not self._head_complete:
                self._refuse_head(error)
                return
        if self._head_complete:
            self._parser = None
            self._route(parser, data[behind:])
        elif parser.get_http_version() == "0.0" and b"\n" in self._head.lstrip(b"\r\n"):
            # A request line without a version: the parser would wait for headers that HTTP/0.9 does not have.
            self._refuse(None, Cause.BAD_REQUEST, linger=True)
        elif len(data) >= room:
            self._refuse(None, Cause.HEAD_TOO_BIG, linger=True)

    def eof_received(self) -> bool:
        """The client sends no more: without a whole head there is nothing to answer."""
        return False

    def connection_lost(self, _: Exception | None) -> None:
        """The client left."""
        self.let_go()
        self._parser = None  # a circle: it refers to this
        if self.task is not None:
            self.task.cancel()

    def let_go(self) -> None:
        """Stop counting this connection here: it is gone, or somebody else's."""
        self._edge.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take_early(self) -> bytes:
        """Return what the client has sent behind its head."""
        early, self._early = bytes(self._early), bytearray()
        return early

    # Called by the parser. A client may send the next request behind the first: only the first is looked at.

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        if not self._head_complete:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header field."""
        if not self._head_complete:
            if len(self._headers) >= self._edge.options.max_headers:
                raise OverflowError
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._head_complete = True

    # Where it goes.

    def _route(self, parser: httptools.HttpRequestParser, early: bytes) -> None:
        try:
            request = Request.parse(
                parser.get_method(), self._target, parser.get_http_version(), tuple(self._headers)
            )
        except BadRequestError as error:
            self._refuse(None, Cause.BAD_REQUEST, str(error), linger=True)
            return
        self._headers = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if is_upgrade(request):
            self._head = bytearray()
            if early:
                self._keep(early)
            if request.path not in WEBSOCKET_ROUTES:
                self._refuse(request, Cause.NO_ROUTE)
                return
            if self._edge.full():
                self._refuse(request, Cause.GATEWAY_FULL)
                return
            self.task = asyncio.get_running_loop().create_task(self._edge.handlers.upgrade(self, request))
        elif request.path in WEBSOCKET_ROUTES:
            self._refuse(request, Cause.NOT_AN_UPGRADE, linger=True)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the connection to the HTTP server, as if it had been its own from the start."""
        server = self._edge.handlers.http()
        self.let_go()
        self.transport.set_protocol(server)
        server.connection_made(self.transport)
        server.data_received(bytes(self._head))

    def refuse(self, answer: bytes, *, linger: bool = False) -> None:
        """Send an answer and end the connection.

        Args:
            answer: a whole HTTP response.
            linger: the client may still be sending: let it read the answer before the socket goes. Closing at
                once would reset the connection and take the answer with it.
        """
        self.transport.write(answer)
        self._parser = None
        self._early = bytearray()
        self._refused = True
        if self._timer is not None:
            self._timer.cancel()
        if linger and not self.transport.is_closing():
            self.transport.write_eof()
            self._timer = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.transport.abort)
        else:
            self._timer = None
            self.transport.close()

    def _refuse(
        self, request: Request | None, cause: Cause, detail: str = "", *, linger: bool = False
    ) -> None:
        self._edge.handlers.refused(self.peer, request, cause, detail)
        self.refuse(refusal(cause, detail), linger=linger)

    def _refuse_head(self, error: httptools.HttpParserError) -> None:
        if isinstance(error.__context__, OverflowError):
            self._refuse(None, Cause.HEAD_TOO_BIG, "too many header fields", linger=True)
        else:
            self._refuse(None, Cause.BAD_REQUEST, linger=True)

    def _late(self) -> None:
        self._refuse(None, Cause.HEAD_LATE)

    def _keep(self, data: bytes) -> None:
        if self._refused:
            return
        self._early += data
        if len(self._early) > _MAX_EARLY:
            self.transport.pause_reading()


def refusal(cause: Cause, detail: str = "", *, retry_after: float = 1) -> bytes:
    """Build the answer to a client that is refused."""
    return refusal_answer(RefusedError(cause, detail, retry_after=retry_after))
