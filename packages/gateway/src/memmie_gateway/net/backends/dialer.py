"""The connection to a backend: connect, send the handshake, check the response (RFC 6455 §4.1)."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from memmie_gateway.core.response import Response
from memmie_gateway.core.steps import ready
from memmie_gateway.core.websocket.handshake import Offer, check_response
from memmie_gateway.net.backends.backend import Backend, BackendLink
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.connection import HttpConnection
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import connect
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import HttpError

_ADDRESS_SECONDS: Final = 5.0
"""Seconds for which looked-up addresses are cached, unless the backend fails."""


class DialError(Exception):
    """A backend did not accept the connection; the message says why. Another backend may accept it."""


class BackendRefusedError(Exception):
    """A backend refused the client with a 4xx, which is passed on to the client.

    Attributes:
        response: the response of the backend.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"the backend answered {response.status}")
        self.response = response


class _Addresses(NamedTuple):
    """The cached addresses of a backend's host name.

    Attributes:
        until: the loop's time after which the name is looked up again.
        failures: number of failures of the backend at the time of the look-up. After a further failure the name is
            looked up again. A restarted container may have another address, and its old address may belong to another
            container now.
        found: the addresses; the one that answered last is the first.
    """

    until: float
    failures: int
    found: list[str]


class Dialer:
    """Connects to backends.

    Args:
        resolver: looks up host names.
        timeout: maximum time in seconds from the look-up to the response.
        tls: the context for `wss` backends; None for one with the root certificates of the system.
    """

    def __init__(self, resolver: Resolver, *, timeout: float, tls: ssl.SSLContext | None = None) -> None:
        self._resolver = resolver
        self._timeout = timeout
        self._tls = tls
        self._addresses: WeakKeyDictionary[Backend, _Addresses] = (
            WeakKeyDictionary()
        )  # an entry is removed with its backend

    def __repr__(self) -> str:
        return f"<Dialer names={len(self._addresses)}>"

    async def dial(self, backend: Backend, head: bytes, offer: Offer) -> BackendLink:
        """Connect, send `head` and check the response.

        Args:
            backend: the backend.
            head: the complete request.
            offer: the offer in this request.

        Raises:
            DialError: the backend failed.
            BackendRefusedError: the backend answered with a 4xx.
            ExhaustionError: a local resource is exhausted.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._dial(backend, head, offer)
        except TimeoutError:
            raise DialError(f"the backend did not answer within {self._timeout:g} seconds") from None

    async def _dial(self, backend: Backend, head: bytes, offer: Offer) -> BackendLink:
        connection = await self._connect(backend)
        accepted = False
        try:
            response = await connection.request(head, upgrade=True)
            if 400 <= response.status < 500:
                raise BackendRefusedError(response)
            if response.status != 101:
                raise DialError(f"the backend answered the upgrade with {response.status}")
            if problem := check_response(response, offer):
                raise DialError(f"the answer to the upgrade is wrong: {problem}")
            accepted = True
        except HttpError as error:
            raise DialError(str(error)) from None
        finally:
            if not accepted:
                connection.close()
        return BackendLink(backend, Handover(connection.transport, connection.take_early()), response)

    async def _connect(self, backend: Backend) -> HttpConnection:
        where = backend.where
        if where.secure and self._tls is None:
            self._tls = ssl.create_default_context()  # once: it reads every root certificate of the system
        addresses = await self._resolve(backend)
        try:
            # `connect` moves the address that answers to the front, where the next dial finds it.
            _, connection = await connect(
                HttpConnection, where, addresses, self._tls if where.secure else None
            )
        except OSError as error:
            self._addresses.pop(backend, None)
            raise_exhaustion(error)
            raise DialError(f"the gateway cannot connect: {error.strerror or error}") from None
        return connection

    async def _resolve(self, backend: Backend) -> list[str]:
        """Return the addresses of a backend's host; those of a name are cached for a few seconds."""
        where = backend.where
        if where.is_address:
            return [where.host]
        loop = asyncio.get_running_loop()
        known = self._addresses.get(backend)
        if known is not None and known.until > loop.time() and known.failures == backend.failures:
            return known.found
        failures = backend.failures
        try:
            addresses = await ready(self._resolver.addresses(where))
        except OSError as error:
            raise_exhaustion(error)
            raise DialError(f"the name {where.host!r} cannot be looked up") from None
        self._addresses[backend] = _Addresses(loop.time() + _ADDRESS_SECONDS, failures, addresses)
        return addresses
