"""A pool of connections to Auth that are kept open between questions, and the question as it goes over the wire.

It does what a question to Auth needs and nothing else, which is why it costs less than half of what a general HTTP
client does.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from typing import Final

from memmie_gateway.core.credentials import plausible
from memmie_gateway.core.verdicts import AuthUnavailableError
from memmie_gateway.net.http1.connection import AuthConnection
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import connect
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.url import AuthUrl

IDLE_SECONDS: Final = 15.0
"""How long a connection is kept that nobody needs."""


class AuthPool:
    """Asks Auth, over as few connections as will do.

    Args:
        url: where Auth is.
        timeout: seconds for one question: waiting for a free connection, connecting and the answer.
        max_connections: open at once; further questions wait for their turn.
        idle_seconds: how long a connection is kept that nobody needs.
        tls: for an `https` Auth; None trusts the system's root certificates.
    """

    def __init__(
        self,
        url: AuthUrl,
        *,
        timeout: float,
        max_connections: int,
        idle_seconds: float = IDLE_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._idle_seconds = idle_seconds
        # Once: it reads every root certificate of the system.
        self._tls = (tls or ssl.create_default_context()) if url.secure else None
        self._head = (
            f"POST {url.path.rstrip('/')}/api/v1/auth/validate HTTP/1.1\r\n"
            f"host: {url.host_header}\r\n"
            "accept: application/json\r\n"
            # Nothing is unpacked here: a few compressed kilobytes may be gigabytes.
            "accept-encoding: identity\r\n"
            "content-type: application/json\r\n"
            "authorization: Bearer "
        )
        self._names = Resolver()
        self._places = asyncio.Semaphore(max_connections)  # who waits for one gets it in turn
        self._connections: set[AuthConnection] = set()
        self._idle: deque[AuthConnection] = deque()  # the one that was used last is on the right
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<AuthPool {self._url.url} connections={len(self._connections)} idle={len(self._idle)}>"

    async def ask(self, token: str) -> tuple[int, bytes]:
        """Ask whose a token is; return status and body of the answer.

        Raises:
            AuthUnavailableError: there was no answer, or none that can be read.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        question = self._question(token)
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._timeout), self._places:
                return await self._ask(question)
        except TimeoutError:
            # What was put aside before may be as dead: a firewall or a machine that is gone tells nobody.
            while self._idle and self._idle[0].idle_since <= asked_at:
                self._idle[0].close()
            raise AuthUnavailableError(f"Auth did not answer within {self._timeout:g} seconds") from None

    async def close(self) -> None:
        """Close every connection; a question under way fails."""
        self._closed = True
        for connection in list(self._connections):
            connection.close()
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.sleep(0)  # the loop closes the sockets at its next turn

    def _question(self, token: str) -> bytes:
        # Nobody asks about any other, but one with a line end in it would be more than one header.
        if not plausible(token):
            raise AuthUnavailableError("no token that could be asked about", alive=True)
        body = json.dumps({"token": token})
        return f"{self._head}{token}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode("ascii")

    async def _ask(self, question: bytes) -> tuple[int, bytes]:
        if self._idle:
            connection = self._idle.pop()
            try:
                return await self._ask_on(connection, question)
            except AuthUnavailableError:
                # Auth may close a connection at the moment it is used again. To ask twice does no harm, so a question
                # that nothing came back to is asked once more (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
                if connection.received:
                    raise
        return await self._ask_on(await self._connect(), question)

    async def _ask_on(self, connection: AuthConnection, question: bytes) -> tuple[int, bytes]:
        try:
            answer = await connection.ask(question)
        except BaseException:
            connection.close()  # also where nobody waits any more: the answer must not be the next one's
            raise
        if connection.reusable:
            self._keep(connection)
        else:
            connection.close()
        return answer

    async def _connect(self) -> AuthConnection:
        try:
            addresses = await self._names.addresses(self._url)
            _, connection = await connect(
                lambda: AuthConnection(self._forget), self._url, addresses, self._tls
            )
        except OSError as error:
            raise_exhaustion(error)
            raise AuthUnavailableError(f"Auth cannot be reached ({error.strerror or error})") from None
        self._connections.add(connection)
        if self._closed:
            connection.close()
        return connection

    def _forget(self, connection: AuthConnection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    # Connections that nobody needs.

    def _keep(self, connection: AuthConnection) -> None:
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
