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
"""How long a looked-up address is used, unless the backend fails before."""


class DialError(Exception):
    """This backend did not accept the connection, another one may; the message says what it did."""


class BackendRefusedError(Exception):
    """The backend refused this client (a 4xx), which is passed on.

    Attributes:
        response: the refusal.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"the backend answered {response.status}")
        self.response = response


class _Addresses(NamedTuple):
    """The addresses of a backend's name when it was looked up.

    Attributes:
        until: the loop's time after which it is looked up again.
        failures: of the backend so far. After one more it is looked up again: a container that was restarted may have
            another address, and its old one may belong to another one by now.
        found: the addresses, the one that answered last first.
    """

    until: float
    failures: int
    found: list[str]


class Dialer:
    """Connects to backends.

    Args:
        resolver: looks their names up.
        timeout: seconds from the look-up to the response.
        tls: for `wss` backends; None trusts the system's root certificates.
    """

    def __init__(self, resolver: Resolver, *, timeout: float, tls: ssl.SSLContext | None = None) -> None:
        self._resolver = resolver
        self._timeout = timeout
        self._tls = tls
        self._addresses: WeakKeyDictionary[Backend, _Addresses] = WeakKeyDictionary()  # gone with the backend

    def __repr__(self) -> str:
        return f"<Dialer names={len(self._addresses)}>"

    async def dial(self, backend: Backend, head: bytes, offer: Offer) -> BackendLink:
        """Connect, send `head` and check the response.

        Args:
            backend: where to.
            head: the whole request.
            offer: what it offers.

        Raises:
            DialError: this backend failed.
            BackendRefusedError: it answered with a 4xx.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._dial(backend, head, offer)
        except TimeoutError:
            raise DialError(f"no answer within {self._timeout:g} seconds") from None

    async def _dial(self, backend: Backend, head: bytes, offer: Offer) -> BackendLink:
        connection = await self._connect(backend)
        accepted = False
        try:
            response = await connection.request(head, upgrade=True)
            if 400 <= response.status < 500:
                raise BackendRefusedError(response)
            if response.status != 101:
                raise DialError(f"it answered {response.status} to the upgrade")
            if problem := check_response(response, offer):
                raise DialError(f"its answer to the upgrade is wrong: {problem}")
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
            raise DialError(f"cannot connect: {error.strerror or error}") from None
        return connection

    async def _resolve(self, backend: Backend) -> list[str]:
        """Return the addresses of a backend's host; those of a name are remembered for a few seconds."""
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
