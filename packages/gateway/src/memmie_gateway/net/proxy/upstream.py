"""The requests to the services, over aiohttp's client.

Connecting and sending are two steps here, because a request is sent only after the dispatcher has chosen the backend for
good. So nothing of a request has been sent if connecting fails, and after that nothing is ever sent again.

Importing aiohttp takes time and memory, so this module is imported only if there are HTTP routes.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from yarl import URL

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.steps import ready
from memmie_gateway.net import clock
from memmie_gateway.net.backends.dialer import DialError
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.system_errors import words_of
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.proxy.answer_protocol import AnswerProtocol
from memmie_gateway.net.proxy.asking import BrokenError, ReadBody

IDLE_SECONDS: Final = 1.5
"""Seconds for which an idle connection to a service is kept: less than the time-out of every common server, because a request
that is sent at the moment at which the server closes the connection is lost."""

MAX_HEAD: Final = 32 * 1024
"""Maximum size in bytes of a line of the head of an answer."""

READ_BYTES: Final = 64 * 1024
"""Number of bytes of an answer to buffer for a slow client; beyond twice as many, the service is not read."""

MAX_UNUSABLE: Final = 32
"""Maximum number of connections that are tried for one request because something was received on them before it."""

TLS_TURNS: Final = 10
"""Number of turns of the loop for which a TLS connection may have bytes that wait to be read."""

_NOT_ADDED: Final = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)


class Answer:
    """The answer of a service.

    Args:
        response: the answer, of which the head has come.

    Attributes:
        head: its status and header fields.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        fields = tuple((name.lower(), value.strip(b" \t")) for name, value in response.raw_headers)
        self.head = Response(response.status, Headers(fields))

    def __repr__(self) -> str:
        return f"<Answer {self.head.status}>"

    async def read(self) -> bytes:
        """Return the next part of the body, b"" at its end.

        Raises:
            BrokenError: the service has ended the connection before the end of the body.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenError.of(error) from None

    def close(self, *, complete: bool) -> None:
        """Give up the answer; if it and its request are complete, the connection is used again."""
        if complete:
            self._response.release()
        else:
            self._response.close()


class Link:
    """A connection to a service that is open, and on which nothing of the request has been sent yet.

    Args:
        task: sends the request after `go`, and returns the response.
        go: allows it to.
    """

    def __init__(self, task: asyncio.Task[aiohttp.ClientResponse], go: asyncio.Future[None]) -> None:
        self._task = task
        self._go = go

    def __repr__(self) -> str:
        return f"<Link {self._task.get_name()}>"

    async def answer(self) -> Answer:
        """Send the request, and return the answer as soon as its head has come.

        Raises:
            BrokenError: the service has ended the connection, or its answer is not HTTP.
        """
        if not self._go.done():
            self._go.set_result(None)
        try:
            return Answer(await self._task)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Drop the connection."""
        self._task.cancel()
        self._task.add_done_callback(_close_late)


class Upstream:
    """Connects to services, and sends them requests.

    Args:
        resolver: looks up host names, and keeps to the address that is in use.
        tls: the context for `https` services; None for one with the root certificates of the system.
    """

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext | None = None) -> None:
        self._resolver = resolver
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._names = _Names(resolver)

    def __repr__(self) -> str:
        return f"<Upstream {'open' if self._session is not None else 'closed'}>"

    async def start(self) -> None:
        """Make the client."""
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=0,  # the gateway has limits of its own
                resolver=self._names,
                use_dns_cache=False,
                keepalive_timeout=IDLE_SECONDS,
                ssl=self._tls or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
            timeout=_NO_TIMEOUT,
            trust_env=False,
            read_bufsize=READ_BYTES,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            middlewares=(_send_once,),
        )

    async def stop(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)  # the loop closes the sockets at its next turn

    async def connect(
        self,
        where: ServiceUrl,
        method: str,
        target: str,
        fields: list[tuple[str, str]],
        body: ReadBody | None,
        seconds: float,
    ) -> Link:
        """Connect to a service, or take a connection that is idle; for the arguments see `asking.Upstream`.

        Raises:
            DialError: the service cannot be reached.
            ExhaustionError: a local resource is exhausted.
        """
        assert self._session is not None, "not started"  # noqa: S101 - requests come only after the start
        loop = asyncio.get_running_loop()
        gate = _Gate(loop.create_future(), loop.create_future(), seconds)
        self._names.learn(where)
        scheme = "https" if where.secure else "http"
        if target.endswith("?"):  # parsing drops the mark of an empty query
            url = URL.build(scheme=scheme, host=where.host, port=where.port, path=target, encoded=True)
        else:
            host = f"[{where.host}]" if ":" in where.host else where.host
            url = URL(f"{scheme}://{host}:{where.port}{target}", encoded=True)
        _GATE.set(gate)  # the task has a copy of this context
        task = loop.create_task(
            self._request(method, url, fields, _parts(body) if body is not None else None)
        )
        try:
            await asyncio.wait((gate.connected, task), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            task.cancel()
            task.add_done_callback(_close_late)
            raise
        if not gate.connected.done():
            self._resolver.doubt(where)
            raise _why(task)
        return Link(task, gate.go)

    async def _request(
        self, method: str, url: URL, fields: list[tuple[str, str]], body: AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        assert self._session is not None  # noqa: S101 - see above
        return await self._session.request(method, url, headers=fields, data=body, allow_redirects=False)


class _Gate:
    """Where a request waits after its connection was opened.

    Args:
        connected: has a result as soon as there is a connection.
        go: gets a result as soon as the request may be sent.
        seconds: maximum time to connect.
    """

    def __init__(self, connected: asyncio.Future[None], go: asyncio.Future[None], seconds: float) -> None:
        self.connected = connected
        self.go = go
        self.seconds = seconds


_GATE: Final[ContextVar[_Gate]] = ContextVar("gate")


class _Connector(aiohttp.TCPConnector):
    """Makes each request wait at its gate, on a connection on which nothing waits to be read.

    Such bytes would be read as the answer to the next request, which may be that of another user. aiohttp itself does not
    look for bytes that came while a connection was idle.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        handler: type[ResponseHandler] = AnswerProtocol
        self._factory = functools.partial(handler, loop=self._loop)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the name that aiohttp gives it
    ) -> aiohttp.connector.Connection:
        gate = _GATE.get()
        with clock.timeout(gate.seconds):  # aiohttp's own would count pauses of this process
            for _ in range(MAX_UNUSABLE):
                connection = await super().connect(req, traces, timeout)
                if await _is_quiet(connection):
                    break
                connection.close()
            else:
                raise aiohttp.ServerDisconnectedError("the service sends data without a request")
        try:
            gate.connected.set_result(None)
            await gate.go
            if not await _is_quiet(connection):
                raise aiohttp.ServerDisconnectedError("the service sent data without a request")  # noqa: TRY301
        except BaseException:
            connection.close()
            raise
        return connection


async def _is_quiet(connection: aiohttp.connector.Connection) -> bool:
    """Tell whether nothing was received on an idle connection, not even bytes that the loop has not read yet.

    Over TLS, such bytes are usually session tickets, which TLS 1.3 sends after the handshake (RFC 8446 §4.6.1). So the loop
    gets the time to read them, which shows whether they are more than that.
    """
    turns = TLS_TURNS if connection.transport and connection.transport.get_extra_info("ssl_object") else 0
    while True:
        protocol = connection.protocol
        if (
            protocol is None
            or protocol.should_close
            or protocol.transport is None
            or protocol.transport.is_closing()
        ):
            return False
        waiting = select.poll()
        waiting.register(protocol.transport.get_extra_info("socket").fileno(), select.POLLIN)
        if not waiting.poll(0):
            return True
        if not turns:
            return False
        turns -= 1
        await asyncio.sleep(0)


async def _send_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request; if it fails, aiohttp must not know it as an error after which it sends a request again."""
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as error:
        if _GATE.get().connected.done():
            raise BrokenError.of(error) from None
        raise


class _Names(AbstractResolver):
    """Looks up names with the resolver of the gateway, so that HTTP uses the same address of a backend as WebSockets."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._known: dict[tuple[str, int], ServiceUrl] = {}

    def learn(self, where: ServiceUrl) -> None:
        """Note the service that a name and port belong to."""
        self._known[where.host, where.port] = where

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses, the one in use first."""
        del family
        addresses = await ready(self._resolver.addresses(self._known[host, port]))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Do nothing."""


async def _parts(read: ReadBody) -> AsyncIterator[bytes]:
    yield b""  # with this, aiohttp sends the head, instead of waiting for the first part of the body
    while data := await read():
        yield data


def _why(task: asyncio.Task[aiohttp.ClientResponse]) -> Exception:
    """Return the error for a request that was not sent, because there is no connection.

    Raises:
        ExhaustionError: a local resource is exhausted.
    """
    error = task.exception()
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return DialError("the gateway could not connect in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        raise_exhaustion(error.os_error)
        return DialError(f"the gateway cannot connect: {words_of(error.os_error)}")
    if isinstance(error, aiohttp.ClientError | OSError):
        return DialError(f"the gateway cannot connect: {error}")
    return error if isinstance(error, Exception) else DialError("the gateway cannot connect")


def _close_late(task: asyncio.Task[aiohttp.ClientResponse]) -> None:
    """Close a response that nobody waits for, and take note of an error."""
    if not task.cancelled() and task.exception() is None:
        with contextlib.suppress(Exception):
            task.result().close()
