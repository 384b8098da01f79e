"""A pool of connections to one service, kept open between requests.

It does only what such a request needs, and so costs less than half of what a general HTTP client does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Final

from memmie_gateway.core.response import Response
from memmie_gateway.core.steps import ready
from memmie_gateway.net.http1.connection import HttpConnection
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import connect
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import HttpError
from memmie_gateway.net.http1.url import ServiceUrl

IDLE_SECONDS: Final = 15.0
"""How long a connection is kept while it is not needed."""


class Pool:
    """Sends requests to a service over as few connections as possible.

    A request may be sent twice (see `request`), so it must be one that does no harm when it is repeated.

    Args:
        where: the service.
        resolver: looks its name up.
        timeout: seconds for one request: waiting for a free connection, connecting and the response.
        max_connections: open at once; further requests wait for their turn.
        idle_seconds: how long a connection is kept while it is not needed.
        tls: for an `https` service; None trusts the system's root certificates.
    """

    def __init__(
        self,
        where: ServiceUrl,
        resolver: Resolver,
        *,
        timeout: float,
        max_connections: int,
        idle_seconds: float = IDLE_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._where = where
        self._resolver = resolver
        self._timeout = timeout
        self._idle_seconds = idle_seconds
        # Once: it reads every root certificate of the system.
        self._tls = (tls or ssl.create_default_context()) if where.secure else None
        self._places = asyncio.Semaphore(max_connections)  # grants places in the order they are asked for
        self._connections: set[HttpConnection] = set()
        self._idle: deque[HttpConnection] = deque()  # the one that was used last is on the right
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Pool {self._where.url} connections={len(self._connections)} idle={len(self._idle)}>"

    async def request(self, data: bytes) -> Response:
        """Send a request and return its response.

        A service may close a kept connection at the moment it is used again. So a request is sent once more, on a new
        connection, if nothing at all came back on a kept one (RFC 9110 §9.2.2, RFC 9112 §9.3.1).

        Args:
            data: the whole request.

        Raises:
            HttpError: there was no usable response.
            TimeoutError: there was none in time.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._timeout), self._places:
                return await self._request(data)
        except TimeoutError:
            # Connections that were put aside before may be dead as well: nothing reports one that a firewall has
            # forgotten, or one to a machine that has vanished.
            while self._idle and self._idle[0].idle_since <= began:
                self._idle[0].close()
            raise

    async def close(self) -> None:
        """Close every connection; a request under way fails."""
        self._closed = True
        for connection in list(self._connections):
            connection.close()
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.sleep(0)  # the loop closes the sockets at its next turn

    async def _request(self, data: bytes) -> Response:
        if self._idle:
            connection = self._idle.pop()
            try:
                return await self._request_on(connection, data)
            except HttpError:
                if connection.received:
                    raise
        return await self._request_on(await self._connect(), data)

    async def _request_on(self, connection: HttpConnection, data: bytes) -> Response:
        try:
            response = await connection.request(data)
        except BaseException:
            connection.close()  # also on cancellation, or a late response would be read as the next one's
            raise
        if connection.reusable:
            self._keep(connection)
        else:
            connection.close()
        return response

    async def _connect(self) -> HttpConnection:
        try:
            addresses = await ready(self._resolver.addresses(self._where))
            _, connection = await connect(
                lambda: HttpConnection(self._forget), self._where, addresses, self._tls
            )
        except OSError as error:
            raise_exhaustion(error)
            raise HttpError(error.strerror or str(error)) from None
        self._connections.add(connection)
        if self._closed:
            connection.close()
        return connection

    def _forget(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    # Connections that are not needed now.

    def _keep(self, connection: HttpConnection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_seconds, self._drop_idle)

    def _drop_idle(self) -> None:
        """Close what has been idle for long enough, and look again when the next one will have been."""
        loop = asyncio.get_running_loop()
        self._sweep = None
        while self._idle:
            until = self._idle[0].idle_since + self._idle_seconds
            if until > loop.time():
                self._sweep = loop.call_at(until, self._drop_idle)
                break
            self._idle[0].close()
