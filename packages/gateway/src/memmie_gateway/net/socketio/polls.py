"""The requests of clients that poll a Studio which speaks Socket.IO itself, as exchanges of the HTTP proxy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from memmie_gateway.core.http import forwarding
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import FIRST_MESSAGE_SOURCES, Credentials, find_credentials
from memmie_gateway.core.http.deadlines import Deadlines
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.response import header_lines, http_response
from memmie_gateway.core.http.routes import HttpRoute
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.handshake import POLLING, Wish
from memmie_gateway.core.socketio.passing import (
    MAX_FIRST_PACKET,
    NOTHING,
    SEPARATOR,
    Opened,
    Packets,
    is_plain,
    passed,
    read_opened,
    without_encodings,
)
from memmie_gateway.core.steps import ready, run
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.admission import Admission, Admitted
from memmie_gateway.net.ingress.body import BodyLimit
from memmie_gateway.net.proxy.asking import Answer, Link
from memmie_gateway.net.proxy.attempt import Attempt
from memmie_gateway.net.proxy.client_side import ClientSide
from memmie_gateway.net.proxy.exchange import Exchange
from memmie_gateway.net.proxy.owner import Owner
from memmie_gateway.net.socketio.answers import TEXT
from memmie_gateway.net.socketio.passed_session import CLOSED, PassedSession

ROUTE: Final = HttpRoute.parse("/socket.io/=studio:/socket.io/")
"""The route of these requests, for logs and metrics; the path at Studio is that of the backend's URL."""

Begin = Callable[["OpeningPoll", Admitted, Backend, Opened], PassedSession]
"""Begins the connection that a backend has opened; it may raise `RefusedError`."""


class _Attempt(Attempt):
    """Connects to a backend; path and query are those of an upgrade."""

    __slots__ = ()

    def _target(self, where: ServiceUrl) -> str:
        return forwarding.target(where.path, where.query, self._user_id or "", self._credentials)


class _Passing:
    """An answer of Studio that passes unchanged (see `asking.Answer`).

    Args:
        answer: the answer.
        first: the part of its body that was read already.

    Attributes:
        head: its status and header fields.
        packets: those that have passed.
    """

    def __init__(self, answer: Answer, first: bytes = b"") -> None:
        self._answer = answer
        self._first = first
        self.head = answer.head
        self.packets = Packets()

    def __repr__(self) -> str:
        return f"<_Passing {self._answer!r}>"

    async def read(self) -> bytes:
        data, self._first = self._first, b""
        data = data or await self._answer.read()
        self.packets.add(data)
        return data

    def close(self, *, complete: bool) -> None:
        self._answer.close(complete=complete)

    @property
    def closing(self) -> bool:
        """Whether Studio has closed the connection."""
        return self.packets.closing and is_plain(self.head.headers)


class _Poll(Exchange):
    """One request; the connection that it belongs to ends with it, unless it is answered with 200.

    Args:
        proxy: as for `Exchange`.
        arrival: as for `Exchange`.
        session: the connection; None before it is opened.
    """

    __slots__ = ("_session",)

    def __init__(self, proxy: Owner[Exchange], arrival: Arrival, session: PassedSession | None) -> None:
        super().__init__(proxy, ROUTE, arrival)
        self._session = session

    @property
    def logged(self) -> bool:
        """Whether its end has a line of its own; that of a connection has one for all its requests."""
        return self._session is None

    async def _read(self) -> bytes:
        """Read the next part of the request's body."""
        assert self.client is not None  # noqa: S101 - the request is forwarded
        return await self.client.read()

    def _attempt(self, credentials: Credentials) -> Attempt:
        return _Attempt(
            self.proxy.upstream,
            self.arrival,
            ROUTE,
            credentials,
            self.user_id,
            marked=False,
            read=self._read,
            on_tried=self._tried,
            on_failed=self._failed,
        )

    def _end_quietly(self, client: ClientSide) -> None:
        """End a request that nobody has to be told of."""
        client.abort()

    @abstractmethod
    def _left(self, session: PassedSession) -> None:
        """The client has left before the end of the answer."""

    def _end_badly(self, handover: Handover, error: RefusedError) -> None:
        session = self._session
        if session is None:
            super()._end_badly(handover, error)
            return
        left = error.cause is Cause.CLIENT_LEFT
        if left:
            self._left(session)
        else:
            session.end(error.cause, str(error), besides=self)
        if error.cause.ending.status and not left:
            super()._end_badly(handover, error)
            return
        self.cause = error.cause
        if self.client is not None:
            self._end_quietly(self.client)
        else:
            handover.transport.abort()
        self.proxy.done(self, error)


class OpeningPoll(_Poll):
    """The GET that opens a connection.

    Args:
        proxy: as for `Exchange`.
        arrival: the request, which was checked.
        admission: admits clients.
        begin: begins the connection after Studio has opened it.
    """

    __slots__ = ("_admission", "_admitted", "_begin")

    def __init__(self, proxy: Owner[Exchange], arrival: Arrival, admission: Admission, begin: Begin) -> None:
        super().__init__(proxy, arrival, None)
        self._admission = admission
        self._admitted: Admitted | None = None
        self._begin = begin

    async def _serve(self, handover: Handover) -> None:
        admitted = self._admitted = await ready(run(self._admission.admit(self.arrival)))
        self.identity = admitted.identity
        client = self._take(handover, with_head=False)
        await self._forward(client, without_encodings(passed(admitted.credentials, Wish(POLLING, ""))))

    async def _connect(self, credentials: Credentials) -> Link:
        return await self._dispatch(self._attempt(credentials))

    async def _ask(self, link: Link) -> Answer:
        """Send the request, and read what connection Studio opens; what opens none is passed on as it is."""
        answer = self._answer = await super()._ask(link)
        if answer.head.status != HTTPStatus.OK or not is_plain(answer.head.headers):
            return answer
        first = await self._first_packet(answer)
        opened = read_opened(first)
        if opened is not None:
            assert self._admitted is not None  # noqa: S101 - it was, before the request was sent
            assert self.backend is not None  # noqa: S101 - it has answered
            self._session = self._begin(self, self._admitted, self.backend, opened)
            self._session.include()
        return _Passing(answer, first)

    async def _first_packet(self, answer: Answer) -> bytes:
        first = b""
        while SEPARATOR not in first and len(first) <= MAX_FIRST_PACKET:
            data = await self._read_part(answer)
            if not data:
                break
            first += data
        return first

    def _left(self, session: PassedSession) -> None:
        session.end(Cause.CLIENT_GONE, besides=self)  # it does not know the sid

    def _clean_up(self) -> None:
        super()._clean_up()
        if self._session is not None:
            self._session.rested = self.proxy.clock.time()
            self._session.exclude()
        elif self._admitted is not None:
            self._admitted.slots.release()


class Poll(_Poll):
    """A GET or a POST of an open connection.

    Args:
        proxy: as for `Exchange`.
        arrival: the request.
        session: the connection.
        max_body: maximum size of a body.

    Raises:
        EngineError: another request with this method is under way.
    """

    __slots__ = ("_open", "_packets", "_passing")

    def __init__(
        self, proxy: Owner[Exchange], arrival: Arrival, session: PassedSession, max_body: BodyLimit
    ) -> None:
        super().__init__(proxy, arrival, session)
        self._max_body = max_body
        self._open = session
        self._packets = Packets()
        self._passing: _Passing | None = None
        self.backend = session.backend
        self.identity = session.info.identity
        options = proxy.options
        self._watch.deadlines = Deadlines(
            body=options.body_seconds,
            idle=session.patience(arrival.request.method),
            total=options.total_seconds,
            now=proxy.clock.time(),
        )
        session.enter(arrival.request.method, self)

    async def _serve(self, handover: Handover) -> None:
        session, request = self._open, self.arrival.request
        client = self._take(handover, with_head=request.method == "POST")
        if session.closing is not None:
            raise RefusedError(session.closing)  # it has ended in this turn of the loop
        self._check_length()
        await session.turn(request.method)
        credentials = find_credentials(request, FIRST_MESSAGE_SOURCES)
        credentials = forwarding.without_copies(credentials, session.token)
        await self._forward(client, passed(credentials, Wish(POLLING, session.sid)))
        if self._packets.closing:
            session.end(Cause.CLIENT_CLOSED, besides=self)
        elif self._passing is not None and self._passing.closing:
            session.end(Cause.BACKEND_CLOSED, besides=self)

    async def _read(self) -> bytes:
        data = await super()._read()
        if data:
            await self._open.spend(self._packets.add(data))
        return data

    async def _connect(self, credentials: Credentials) -> Link:
        steps = self.proxy.dispatcher.dispatch_to(
            self._open.backend, self.user_id, self._attempt(credentials), proves=False
        )
        return await ready(run(steps))

    async def _ask(self, link: Link) -> Answer:
        answer = await super()._ask(link)
        self._open.heard = self.proxy.clock.time()
        if answer.head.status != HTTPStatus.OK:
            self._open.end(Cause.BACKEND_CLOSED, besides=self)
        self._passing = _Passing(answer)
        return self._passing

    def _end_quietly(self, client: ClientSide) -> None:
        """Answer a GET if the connection was closed meanwhile; not every Studio does, and some clients wait for it."""
        if self.cause not in CLOSED or self.status or self.arrival.request.method != "GET":
            super()._end_quietly(client)
            return
        self.status = HTTPStatus.OK
        extra = header_lines(self._page.fields)
        envelope = answers.envelope_of(self.arrival)
        client.end(http_response(self.status, NOTHING, TEXT, extra, envelope=envelope))

    def _left(self, session: PassedSession) -> None:
        """Do nothing, because the client may come again."""

    def _clean_up(self) -> None:
        super()._clean_up()
        session = self._open
        if self.client is not None:
            session.received += self.client.received
        session.sent += self.sent
        session.leave(self.arrival.request.method, self.proxy.clock.time())
