"""A keep-alive pool of connections to one service.

It implements only what the requests of the gateway need, so it costs less than half as much as a general HTTP client.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final

from memmie_gateway.core.http.response import Response
from memmie_gateway.core.steps import ready
from memmie_gateway.net import clock
from memmie_gateway.net.http1.connection import HttpConnection
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import connect
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import HttpError
from memmie_gateway.net.http1.system_errors import words_of
from memmie_gateway.net.http1.url import ServiceUrl

IDLE_SECONDS: Final = 15.0
"""Seconds after which an idle connection is closed."""


def _always(_: Response) -> bool:
    """Return True; the default of `keep`."""
    return True


class Pool:
    """Sends requests to a service over as few connections as possible: each request that is under way has its own.

    A request may be sent twice (see `request`), so requests must be idempotent.

    Args:
        where: the URL of the service.
        resolver: looks up the host name.
        timeout: maximum time in seconds for one request: connecting and the response.
        idle_seconds: seconds after which an idle connection is closed.
        keep: tells after which responses a connection is used again. Any other response may have been for another
            request.
        tls: the context for an `https` service; None for one with the root certificates of the system.
    """

    def __init__(
        self,
        where: ServiceUrl,
        resolver: Resolver,
        *,
        timeout: float,
        idle_seconds: float = IDLE_SECONDS,
        keep: Callable[[Response], bool] = _always,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._where = where
        self._resolver = resolver
        self._timeout = timeout
        self._idle_seconds = idle_seconds
        self._keep_after = keep
        # Once: it reads every root certificate of the system.
        self._tls = (tls or ssl.create_default_context()) if where.secure else None
        self._connections: set[HttpConnection] = set()
        self._idle: deque[HttpConnection] = deque()  # the one that was used last is on the right
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Pool {self._where.shown} connections={len(self._connections)} idle={len(self._idle)}>"

    async def request(self, data: bytes, *, alone: bool = False) -> Response:
        """Send a request and return its response.

        A service may close an idle connection at the moment at which it is reused. So if a reused connection ends before
        any response byte, the request is sent once more on a new connection (RFC 9110 §9.2.2, RFC 9112 §9.3.1).

        Args:
            data: the complete request.
            alone: whether to use a new connection, and to close it afterwards.

        Raises:
            HttpError: there was no usable response.
            TimeoutError: there was no response in time.
            ExhaustionError: a local resource is exhausted.
        """
        began = asyncio.get_running_loop().time()
        try:
            async with clock.timeout(self._timeout):
                return await self._request(data, alone=alone)
        except TimeoutError:
            self._doubt(alone=alone)
            # Connections that were idle before may be dead as well. Nothing reports a connection that a firewall has
            # dropped, or one to a machine that is down.
            while self._idle and self._idle[0].idle_since <= began:
                self._idle[0].close()
            raise
        except HttpError:
            self._doubt(alone=alone)
            raise

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        self._closed = True
        for connection in list(self._connections):
            connection.close()
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.sleep(0)  # the loop closes the sockets at its next turn

    def _doubt(self, *, alone: bool) -> None:
        """Look the name up again. A probe that fails is not the fault of a token: then the next address is used."""
        if alone:
            self._resolver.give_up(self._where)
        else:
            self._resolver.doubt(self._where)

    async def _request(self, data: bytes, *, alone: bool) -> Response:
        connection = None if alone else self._take_idle()
        if connection is not None:
            try:
                return await self._request_on(connection, data, keep=True)
            except HttpError:
                if connection.received:
                    raise
        return await self._request_on(await self._connect(), data, keep=not alone)

    def _take_idle(self) -> HttpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.quiet():
                return connection
            connection.close()
        return None

    async def _request_on(self, connection: HttpConnection, data: bytes, *, keep: bool) -> Response:
        try:
            response = await connection.request(data)
        except BaseException:
            connection.close()  # also on cancellation, or a late response would be read as the next one's
            raise
        if connection.reusable and keep and self._keep_after(response):
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
            raise HttpError(words_of(error)) from None
        self._resolver.keep_to(self._where, addresses)
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
        """Close connections that have been idle for too long, and schedule the next check."""
        loop = asyncio.get_running_loop()
        self._sweep = None
        while self._idle:
            until = self._idle[0].idle_since + self._idle_seconds
            if until > loop.time():
                self._sweep = loop.call_at(until, self._drop_idle)
                break
            self._idle[0].close()
