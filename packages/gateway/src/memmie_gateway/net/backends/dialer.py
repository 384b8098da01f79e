"""The connection to a Studio: dial, send the handshake, read the answer (RFC 6455 §4.1)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import httptools

from memmie_gateway.core.headers import Headers
from memmie_gateway.core.websocket.handshake import Answer, Offer, check_answer
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import connect
from memmie_gateway.net.http1.resolver import Resolver

MAX_ANSWER_HEAD: Final = 32 * 1024
"""Bytes of the head of Studio's answer."""

MAX_REFUSAL_BODY: Final = 64 * 1024
"""Bytes of the body of a Studio's refusal that are passed on."""

_MAX_EARLY: Final = 256 * 1024
"""Bytes that a Studio may send behind its 101 before the splice reads them; then it is paused."""

_ADDRESS_SECONDS: Final = 5.0
"""How long a looked-up address is used, unless the Studio fails before."""


class DialError(Exception):
    """This Studio did not accept the connection, another one may; the message says what it did."""


class BackendRefusedError(Exception):
    """Studio said no to this client (a 4xx), which is passed on."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"Studio answered {answer.status}")
        self.answer = answer


class Upstream(NamedTuple):
    """A Studio that has accepted.

    Attributes:
        transport: the open connection.
        answer: its 101.
        protocol: still receives; `take_early` gives what came behind the 101.
    """

    transport: asyncio.Transport
    answer: Answer
    protocol: _AnswerProtocol

    def take_early(self) -> bytes:
        """Return the bytes that Studio sent behind its answer; call it when another protocol takes over."""
        return self.protocol.take_early()


class _AnswerProtocol(asyncio.Protocol):
    """Reads Studio's answer to the handshake, and keeps what follows it."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._head_bytes = 0
        self._in_body = False
        self._early: list[bytes] = []
        self._early_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            self._keep(data)
            return
        self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._keep(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._fail(f"its answer is not HTTP ({error})")
        if not self.answered.done() and not self._in_body and self._head_bytes > MAX_ANSWER_HEAD:
            self._fail("the head of its answer is too large")
        if self.answered.done():
            self._parser = None  # a circle: it refers to this

    def eof_received(self) -> None:
        self._end("it closed the connection instead of answering")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"the connection broke: {exc}" if exc else "it closed the connection instead of answering")
        self._parser = None  # a circle, likewise

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        assert self._parser is not None  # noqa: S101 - it is what calls this
        status = self._status = self._parser.get_status_code()
        if status == 101:
            self._succeed()
        elif 400 <= status < 500:
            self._in_body = True
        elif status >= 200:
            self._fail(f"it answered {status} to the upgrade")

    def on_body(self, body: bytes) -> None:
        self._body += body[: MAX_REFUSAL_BODY - len(self._body)]
        if len(self._body) == MAX_REFUSAL_BODY:
            self._succeed()

    def on_message_complete(self) -> None:
        if self._in_body:
            self._succeed()
        self._headers = []  # of an interim answer (1xx); the next one is read

    # The outcome.

    def take_early(self) -> bytes:
        early, self._early = b"".join(self._early), []
        return early

    def _keep(self, data: bytes) -> None:
        self._early.append(data)
        self._early_bytes += len(data)
        if self._early_bytes > _MAX_EARLY and self._transport is not None:
            self._transport.pause_reading()

    def _succeed(self) -> None:
        if not self.answered.done():
            self.answered.set_result(Answer(self._status, Headers(tuple(self._headers)), self._body))

    def _fail(self, words: str) -> None:
        if not self.answered.done():
            self.answered.set_exception(DialError(words))

    def _end(self, words: str) -> None:
        if self._in_body:
            self._succeed()  # a body without a length ends with the connection
        else:
            self._fail(words)


@dataclass(frozen=True, slots=True)
class _Addresses:
    """What a name meant when it was looked up.

    Attributes:
        until: the loop's time after which it is looked up again.
        failures: of the Studio so far. One more, and it is looked up again: a container that was started anew may
            have another address, and its old one may be somebody else's by now.
        found: the addresses, the one that answered last first.
    """

    until: float
    failures: int
    found: list[str]


class Dialer:
    """Connects to Studios.

    Args:
        timeout: seconds from the first packet to the answer.
        tls: for `wss` Studios.
    """

    def __init__(self, *, timeout: float, tls: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._tls = tls
        self._names = Resolver()
        self._addresses: dict[str, _Addresses] = {}

    async def dial(self, backend: Backend, head: bytes, offer: Offer) -> Upstream:
        """Connect, send `head` and check the answer.

        Args:
            backend: where to.
            head: the whole request.
            offer: what it offers.

        Raises:
            DialError: this Studio failed.
            BackendRefusedError: it answered with a 4xx.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._dial(backend, head, offer)
        except TimeoutError:
            raise DialError(f"no answer within {self._timeout:g} seconds") from None

    async def _dial(self, backend: Backend, head: bytes, offer: Offer) -> Upstream:
        transport, protocol = await self._connect(backend)
        upstream = None
        try:
            transport.write(head)
            answer = await protocol.answered
            if answer.status != 101:
                raise BackendRefusedError(answer)
            if problem := check_answer(answer, offer):
                raise DialError(f"its answer to the upgrade is wrong: {problem}")
            upstream = Upstream(transport, answer, protocol)
        finally:
            if upstream is None:
                transport.abort()
        return upstream

    async def _connect(self, backend: Backend) -> tuple[asyncio.Transport, _AnswerProtocol]:
        where = backend.where
        if where.secure and self._tls is None:
            self._tls = ssl.create_default_context()  # once: it reads every root certificate of the system
        addresses = await self._resolve(backend)
        try:
            # Addresses that are remembered are put in order: the next dial starts with the one that answers.
            return await connect(_AnswerProtocol, where, addresses, self._tls if where.secure else None)
        except OSError as error:
            self._addresses.pop(backend.url, None)
            raise_exhaustion(error)
            raise DialError(f"cannot connect: {error.strerror or error}") from None

    async def _resolve(self, backend: Backend) -> list[str]:
        """Return the addresses of a Studio's host; those of a name are remembered for a few seconds."""
        where = backend.where
        if where.is_address:
            return [where.host]
        loop = asyncio.get_running_loop()
        known = self._addresses.get(backend.url)
        if known is not None and known.until > loop.time() and known.failures == backend.failures:
            return known.found
        failures = backend.failures
        try:
            addresses = await self._names.addresses(where)
        except OSError as error:
            raise_exhaustion(error)
            raise DialError(f"the name {where.host!r} cannot be looked up") from None
        self._addresses[backend.url] = _Addresses(loop.time() + _ADDRESS_SECONDS, failures, addresses)
        return addresses
