"""The listener: its limits, and the connections with a request that is not answered yet.

`head_reader` reads the request head of each connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from memmie_gateway.core.http.arrival import RANDOM_BYTES, Arrival, arrive
from memmie_gateway.core.http.client_address import Client, Network, find_client, is_trusted, limit_key
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.limits import SlotCounts
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.timeouts import Timeouts

RESERVE: Final = 64
"""Number of connections beyond the maximum that are accepted for `/health`, `/ready` and `/metrics`."""

SPARE: Final = 16
"""Difference between the limits on unanswered requests and on WebSockets from one address.

It leaves room for requests such as `/health`, and for connections that are closing. Without a limit, one client that
sends nothing, or takes no answer, could exhaust the accept capacity."""

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
        request_id: the request id, which the client gets with the refusal.
        path: the path of the request, "" if the request was invalid.
        user_id: the user, "" if the token was not validated.
        backend: the URL of the last backend that was tried, "" for none.
        close_code: the code of the Close frame for the client; None if it gets none.
    """

    address: str
    error: RefusedError
    request_id: str
    path: str = ""
    user_id: str = ""
    backend: str = ""
    close_code: int | None = None

    @classmethod
    def of(cls, arrival: Arrival, error: RefusedError) -> Refusal:
        """Make one for a client with a valid request."""
        return cls(arrival.client.address, error, arrival.id, arrival.request.path)


@dataclass(frozen=True, slots=True)
class Handlers:
    """The functions that the listener calls.

    Attributes:
        routes: serve all requests for the paths of routes, with or without an upgrade.
        http: serves all other requests; the bytes in its handover begin with the head.
        refused: called whenever the listener refuses a client.
        connections: returns the number of live connections that were handed over.
    """

    routes: Routes
    http: Route
    refused: Callable[[Refusal], None]
    connections: Callable[[], int]


class Elsewhere:
    """Counts the connections that other rooms serve and that are no live connections, so that they count for the maximum.

    Attributes:
        count: their number, minus that of the connections that count as part of a live one.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def __repr__(self) -> str:
        return f"<Elsewhere {self.count}>"


class Pending(Protocol):
    """A connection with a request that is not answered yet.

    Attributes:
        transport: the connection.
        handover: holds the connection after the head is read or the client is refused; None before.
        peer: the address of the TCP peer.
        counted: the key under which the connection counts for the limit by address; "" if it does not count.
    """

    transport: asyncio.Transport
    handover: Handover | None
    peer: str
    counted: str

    def late(self) -> None:
        """The head has not come in time."""


class Listener:
    """Limits and counts the connections with a request that is not answered yet.

    Args:
        options: the limits.
        handlers: the functions to call.
        rng: creates the ids of requests.
        clock: tells of pauses of this process.
        elsewhere: counts connections that are neither here nor live.

    Attributes:
        clock: as given.
        options: as given.
        handlers: as given.
        pending: the connections that wait for a request, for admission or for the end of a refusal.
        http: the connections that the HTTP routes serve.
        heads: the time-outs of the connections whose head is being read.
    """

    def __init__(
        self,
        options: ListenerOptions,
        handlers: Handlers,
        rng: random.Random,
        clock: Clock,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere or Elsewhere()
        self.clock = clock
        self.options = options
        self.handlers = handlers
        self.pending: set[Pending] = set()
        self.heads: Timeouts[Pending] = Timeouts(options.head_seconds, lambda head: head.late(), clock)
        self.http: set[Pending] = set()
        self._rng = rng
        self._by_address = SlotCounts()

    def __repr__(self) -> str:
        return f"<Listener pending={len(self.pending)} http={len(self.http)}>"

    def enter(self, connection: Pending) -> Cause | None:
        """Count a connection until `leave`; return a cause if it must be refused, otherwise None."""
        self.pending.add(connection)
        if self.full(RESERVE):
            return Cause.GATEWAY_FULL
        return None if self._count(connection, connection.peer) else Cause.ADDRESS_FULL

    def enter_http(self, connection: Pending, client: Client) -> Cause | None:
        """Count a connection for the HTTP routes, and for the client if it came through a trusted proxy.

        Returns:
            A cause if it must be refused, otherwise None.
        """
        if client.trusted_peer:
            self._stop_counting(connection)
            if not self._count(connection, client.address):
                return Cause.ADDRESS_FULL
        self.pending.discard(connection)
        self.http.add(connection)
        return None

    def leave(self, connection: Pending) -> None:
        """Stop counting a connection that has ended or has another owner."""
        self.pending.discard(connection)
        self.http.discard(connection)
        self._stop_counting(connection)

    def full(self, reserve: int = 0) -> bool:
        """Tell whether there are more connections than the maximum plus `reserve`."""
        count = len(self.pending) + len(self.http) + self.handlers.connections() + self._elsewhere.count
        return count > self.options.max_connections + reserve

    def client_of(self, peer: str, request: Request) -> Client:
        """Return the address of the client that sent a request."""
        trusted = self.options.trusted_proxies
        return find_client(peer, request.headers.elements(b"x-forwarded-for") if trusted else (), trusted)

    def arrival(self, peer: str, request: Request) -> Arrival:
        """Return the arrival for a request, with its client and ids."""
        return arrive(request, self.client_of(peer, request), self._rng.randbytes(RANDOM_BYTES))

    def new_id(self) -> str:
        """Return a request id for a request that is invalid, so that it has no other."""
        return self._rng.randbytes(16).hex()

    async def stop(self) -> None:
        """Refuse every client that waits to be admitted, and abort all other pending connections."""
        await asyncio.sleep(
            0
        )  # connections that the loop has just accepted are pending only after its next turn
        connections = self.pending | self.http
        handovers = [connection.handover for connection in connections if connection.handover is not None]
        for handover in handovers:
            handover.cancel()
        tasks = [handover.task for handover in handovers if handover.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a loop may write buffered data to the socket only at the end of its turn
        for connection in self.pending | self.http:
            connection.transport.abort()

    def _count(self, connection: Pending, address: str) -> bool:
        key, most = limit_key(address), self.options.max_connections_per_address
        if self._by_address.acquire(key, most + SPARE if most else 0):
            connection.counted = key
            return True
        return is_trusted(address, self.options.trusted_proxies)

    def _stop_counting(self, connection: Pending) -> None:
        key, connection.counted = connection.counted, ""
        if key:
            self._by_address.release(key)
