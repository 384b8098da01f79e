"""The connection to a backend: connect, send the handshake, check the response (RFC 6455 §4.1)."""

from __future__ import annotations

import ssl

from memmie_gateway.core.http.response import Response
from memmie_gateway.core.steps import must_wait
from memmie_gateway.core.websocket.acceptance import Acceptance, KnownAnswer
from memmie_gateway.core.websocket.handshake import Offer, check_response
from memmie_gateway.net.backends.backend import Backend, BackendLink
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.http1.connection import AS_EXPECTED, HttpConnection
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import connect
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import HttpError


class DialError(Exception):
    """A backend did not accept the connection; the message says why. Another backend may accept it."""


class DialUnansweredError(DialError):
    """A backend did not answer the upgrade, or not in HTTP. Perhaps this is so only for this user."""


class DialRefusedError(DialError):
    """A backend answered the upgrade, but with an error. Perhaps it does so only for this user."""


class BackendRefusedError(Exception):
    """A backend refused the client with a 4xx, which is passed on to the client.

    Attributes:
        response: the response of the backend.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"the backend answered {response.status}")
        self.response = response


class Dialer:
    """Connects to backends.

    Args:
        resolver: looks up host names.
        tls: the context for `wss` backends; None for one with the root certificates of the system.
        clock: tells the time for time-outs.
    """

    def __init__(
        self, resolver: Resolver, tls: ssl.SSLContext | None = None, clock: Clock | None = None
    ) -> None:
        self._resolver = resolver
        self._clock = clock or Clock()
        self._tls = tls

    def __repr__(self) -> str:
        return f"<Dialer {self._resolver!r}>"

    async def dial(self, backend: Backend, head: bytes, offer: Offer, seconds: float) -> BackendLink:
        """Connect, send `head` and check the response.

        Args:
            backend: the backend.
            head: the complete request.
            offer: the offer in this request.
            seconds: maximum time from the look-up to the response.

        Raises:
            DialRefusedError: the backend answered with an error that is no 4xx.
            DialUnansweredError: the backend did not answer.
            DialError: the backend could not be reached.
            BackendRefusedError: the backend answered with a 4xx.
            ExhaustionError: a local resource is exhausted.
        """
        try:
            with self._clock.timeout(seconds):
                return await self._dial(backend, head, offer)
        except TimeoutError:
            self._resolver.doubt(backend.where)
            raise DialUnansweredError(f"the backend did not answer within {seconds:.3g} seconds") from None

    async def _dial(self, backend: Backend, head: bytes, offer: Offer) -> BackendLink:
        connection = await self._connect(backend)
        accepted: Acceptance | None = None
        try:
            known = backend.known_answer
            expected = known.expected(offer) if known is not None else b""
            response = await connection.request(head, upgrade=True, expected=expected)
            if known is not None and response is AS_EXPECTED:
                accepted = known.accepted
            else:
                accepted = _accepted(response, offer)
                if connection.head:
                    backend.known_answer = KnownAnswer(connection.head, offer.accept, accepted)
        except HttpError as error:
            self._resolver.doubt(backend.where)
            raise DialUnansweredError(str(error)) from None
        finally:
            if accepted is None:
                connection.close()
        return BackendLink(backend, connection, accepted)

    async def _connect(self, backend: Backend) -> HttpConnection:
        where = backend.where
        if where.secure and self._tls is None:
            self._tls = ssl.create_default_context()  # once: it reads every root certificate of the system
        try:
            known = self._resolver.addresses(where)
            addresses = (await known) if must_wait(known) else known
        except OSError as error:
            raise_exhaustion(error)
            raise DialError(f"the name {where.host!r} cannot be looked up") from None
        try:
            _, connection = await connect(
                HttpConnection, where, addresses, self._tls if where.secure else None
            )
        except OSError as error:
            self._resolver.doubt(where)
            raise_exhaustion(error)
            raise DialError(f"the gateway cannot connect: {error.strerror or error}") from None
        self._resolver.keep_to(where, addresses)
        return connection


def _accepted(response: Response, offer: Offer) -> Acceptance:
    """Read a response that should be a valid 101.

    Raises:
        BackendRefusedError, DialRefusedError: it is not.
    """
    if 400 <= response.status < 500:
        raise BackendRefusedError(response)
    if response.status != 101:
        raise DialRefusedError(f"the backend answered the upgrade with {response.status}")
    if problem := check_response(response, offer):
        raise DialRefusedError(f"the answer to the upgrade is wrong: {problem}")
    return Acceptance.of(response)
