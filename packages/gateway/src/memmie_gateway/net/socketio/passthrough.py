"""The route `/socket.io/` before a Studio that speaks Socket.IO itself (spec §1).

A WebSocket is a plain session. Long-polling is forwarded by the HTTP proxy: Studio opens a connection and gives it a `sid`,
and all further requests with this `sid` go to the same Studio as requests of the same user.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from memmie_gateway.core.http import forwarding, proxied, query
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import FIRST_MESSAGE_SOURCES, find_credentials
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.limits import HeldSlots
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.handshake import WEBSOCKET, Problem, Wish, read_wish
from memmie_gateway.core.socketio.owner_origin import OwnerOrigin
from memmie_gateway.core.socketio.passing import Opened, passed
from memmie_gateway.core.steps import Steps, run
from memmie_gateway.core.websocket.handshake import check_upgrade, is_upgrade
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http_proxy import HttpProxy
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.admission import Admission, Admitted
from memmie_gateway.net.ingress.body import BodyLimit
from memmie_gateway.net.ingress.listener import Elsewhere
from memmie_gateway.net.sessions.leases import Leases
from memmie_gateway.net.sessions.options import SessionInfo
from memmie_gateway.net.sessions.registry import SessionRegistry
from memmie_gateway.net.socketio.answers import EngineError
from memmie_gateway.net.socketio.door import Door
from memmie_gateway.net.socketio.passed_session import LentSlots, PassedSession
from memmie_gateway.net.socketio.polls import OpeningPoll, Poll
from memmie_gateway.net.websocket import PlainOpening, WebSocketRoute

LOOK_SECONDS: Final = 1.0
"""Seconds between two looks at the connections that poll."""

UPGRADED_SECONDS: Final = 10.0
"""Seconds without a GET after which a connection with a WebSocket does not poll any more."""


class Events(Protocol):
    """Receives the events of connections, for logs and metrics."""

    def polled(self, session: PassedSession) -> None:
        """A connection has ended that did not go on over a WebSocket."""


@dataclass(frozen=True, slots=True)
class PassthroughOptions:
    """How clients that poll are served.

    Attributes:
        max_body: maximum size of the body of a POST.
        max_silence: maximum time in seconds without a GET, whatever Studio says.
        rate_max_delay: maximum time in seconds for which packets may wait for the message rate.
        dead_seconds: time after which a connection to a dead backend ends if nothing came from it; 0 for never.
    """

    max_body: BodyLimit
    max_silence: float
    rate_max_delay: float
    dead_seconds: float


class PassthroughRoute:
    """Serves clients of a Studio that speaks Socket.IO itself.

    Args:
        options: how clients that poll are served.
        websocket: the route of plain WebSockets.
        proxy: forwards long-polling; None if clients may not poll.
        admission: admits clients.
        dispatcher: connects to the backend of a connection.
        sessions: the live connections, which those that poll join.
        leases: end connections when their tokens end.
        any_healthy: tells whether a backend is healthy.
        elsewhere: counts the TCP connections of a client that count as part of the one connection that it has.
        events: notified of connections that have ended.
    """

    def __init__(
        self,
        options: PassthroughOptions,
        websocket: WebSocketRoute,
        proxy: HttpProxy | None,
        *,
        admission: Admission,
        dispatcher: Dispatcher,
        sessions: SessionRegistry,
        leases: Leases,
        any_healthy: Callable[[], bool],
        elsewhere: Elsewhere,
        events: Events,
    ) -> None:
        self._options = options
        self._websocket = websocket
        self._proxy = proxy
        self._admission = admission
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._leases = leases
        self._any_healthy = any_healthy
        self._elsewhere = elsewhere
        self._events = events
        self._door = Door(websocket, admission)
        self._by_sid: dict[str, PassedSession] = {}
        self._timer: asyncio.TimerHandle | None = None  # while there are connections

    def __repr__(self) -> str:
        return f"<PassthroughRoute polling={len(self._by_sid)}>"

    def stop(self) -> None:
        """End all connections that poll."""
        for session in tuple(self._by_sid.values()):
            session.abort()
        if self._timer is not None:
            self._timer.cancel()

    def __call__(self, arrival: Arrival, handover: Handover) -> None:
        """Serve a request."""
        request = arrival.request
        if is_upgrade(request) and not _names_sid(request.query):
            self._websocket(arrival, handover)
            return
        if request.method == "OPTIONS":
            steps = self._door.preflight(arrival, handover)
        elif isinstance(wish := read_wish(request.query, polling=self._proxy is not None), Problem):
            steps = self._door.refuse_late(arrival, handover, EngineError(wish))
        elif wish.sid:
            steps = self._find(wish, arrival, handover)
        elif wish.transport == WEBSOCKET:
            self._websocket(arrival, handover)  # it is no upgrade, and is refused
            return
        else:
            steps = self._open(arrival, handover)
        rest = run(steps)
        if rest is not None:
            handover.start(rest)

    # Connections that poll.

    def _open(self, arrival: Arrival, handover: Handover) -> Steps[None]:
        """Forward the GET that opens a connection."""
        proxy = self._proxy
        assert proxy is not None  # noqa: S101 - otherwise polling is an unknown transport
        try:
            yield from self._door.check_get(arrival)
            if error := _why_refused(arrival):
                yield from self._admission.refuse_invalid(arrival, error)
        except RefusedError as error:
            self._door.refuse_now(arrival, handover, error)
            return
        poll = OpeningPoll(proxy, proxy.with_own_id(arrival), self._admission, self._begin)
        proxy.begin(poll, handover)

    def _begin(
        self, poll: OpeningPoll, admitted: Admitted, backend: Backend, opened: Opened
    ) -> PassedSession:
        """Begin a connection that a backend has opened (see `polls.Begin`)."""
        if self._admission.draining:
            raise RefusedError(Cause.DRAINING)
        if opened.sid in self._by_sid:
            raise RefusedError(Cause.BACKEND_BROKE_OFF, internal="Studio gave two connections one sid")
        if admitted.replacement is not None and not admitted.replacement.carry_out():
            raise RefusedError(Cause.USER_FULL)
        arrival, identity, options = poll.arrival, admitted.identity, self._options
        stores, limits = self._admission.stores, self._admission.limits
        token = admitted.credentials.token or ""
        session = PassedSession(
            SessionInfo(arrival.id, arrival.request.path, arrival.client, identity, "socketio"),
            token,
            backend,
            opened._replace(silence=min(opened.silence, options.max_silence)),
            origin=OwnerOrigin(arrival.request.headers.all(b"origin")),
            slots=admitted.slots,
            bucket=stores.messages.bucket(identity.user_id, limits.messages),
            max_delay=options.rate_max_delay,
            elsewhere=self._elsewhere,
            started=poll.started,
            now=poll.proxy.clock.time(),
            on_end=self._ended,
        )
        self._by_sid[session.sid] = session
        backend.joined()
        self._sessions.add(session)
        self._leases.begun(session, token)
        if self._timer is None:
            self._look_later()
        return session

    def _find(self, wish: Wish, arrival: Arrival, handover: Handover) -> Steps[None]:
        """Serve a request of an open connection; it counts neither as a connect nor as a connection."""
        session, proxy, request = self._by_sid.get(wish.sid), self._proxy, arrival.request
        upgrade = wish.transport == WEBSOCKET
        if session is None or proxy is None:
            yield from self._door.refuse_unknown(wish.sid, arrival, handover)
            return
        try:
            self._door.check_owner(arrival, session.origin, upgrade=upgrade)
            if upgrade:
                _check_upgrade(arrival, session)
            elif request.method not in ("GET", "POST"):
                raise EngineError(Problem.BAD_METHOD)
            elif error := _why_refused(arrival):
                raise error
            else:
                poll = Poll(proxy, proxy.with_own_id(arrival), session, self._options.max_body)
        except RefusedError as error:
            yield from self._door.refuse_late(arrival, handover, error)
            return
        if upgrade:
            yield from self._upgrade(session, wish, arrival, handover)
        else:
            proxy.begin(poll, handover)

    def _upgrade(
        self, session: PassedSession, wish: Wish, arrival: Arrival, handover: Handover
    ) -> Steps[None]:
        """Connect the WebSocket of a connection to its backend; it is a session in the place of the connection."""
        session.upgrading = True
        session.include()
        credentials = find_credentials(arrival.request, FIRST_MESSAGE_SOURCES)
        credentials = passed(forwarding.without_copies(credentials, session.token), wish)
        identity = session.info.identity
        opening = _Upgrading(self._websocket, arrival, handover)
        opening.admitted = Admitted(identity, credentials, HeldSlots())
        try:
            link = yield from self._dispatcher.dispatch_to(session.backend, identity.user_id, opening)
            if session.closing is not None:
                opening.abandon(link)
                raise EngineError(Problem.UNKNOWN_SID)  # noqa: TRY301 - every refusal is answered below
            slots = HeldSlots(LentSlots(session))
            credentials = replace(credentials, token=session.token)
            try:
                self._websocket.start_session(opening, Admitted(identity, credentials, slots), link)
            except BaseException:
                slots.release()
                raise
        except RefusedError as error:
            opening.give_up(error)
        except asyncio.CancelledError:
            left = handover.transport.is_closing()  # otherwise the gateway is stopping
            opening.give_up(RefusedError(Cause.CLIENT_LEFT if left else Cause.DRAINING))
        except Exception as error:  # noqa: BLE001 - a bug affects this client only, and is logged
            opening.give_up(RefusedError(Cause.INTERNAL))
            answers.report_bug(error)
        finally:
            session.exclude()

    # Their ends.

    def _ended(self, session: PassedSession) -> None:
        del self._by_sid[session.sid]
        self._door.note_end(session.sid)
        self._sessions.remove(session)
        self._leases.ended(session)
        session.backend.left(session.traffic())
        if not session.lent:
            session.slots.release()
            self._events.polled(session)

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """End the connections that do not poll any more, and those of a dead backend."""
        assert self._proxy is not None  # noqa: S101 - there are connections
        self._timer = None
        now = self._proxy.clock.time()
        for session in tuple(self._by_sid.values()):
            silence = 0.0 if session.polled else now - session.rested
            if silence >= (UPGRADED_SECONDS if session.lent else session.silence):
                session.end(Cause.CLIENT_GONE, "no request came")
            elif self._is_deserted(session, now):
                session.end(Cause.BACKEND_UNHEALTHY)
        if self._by_sid:
            self._look_later()

    def _is_deserted(self, session: PassedSession, now: float) -> bool:
        """Tell whether the backend of a connection is dead and silent, and another one is healthy."""
        seconds = self._options.dead_seconds
        if not seconds or not session.backend.dead or now - session.heard < seconds:
            return False
        return self._any_healthy()


class _Upgrading(PlainOpening):
    """The opening of the WebSocket of a client that polls; for the arguments see `PlainOpening`."""

    __slots__ = ()

    protocol = "socketio"


def _names_sid(text: str) -> bool:
    """Tell whether a request belongs to a connection, or claims to."""
    return any(name == "sid" for name, _ in query.fields(text))


def _why_refused(arrival: Arrival) -> RefusedError | None:
    """Return why a request of long-polling is not forwarded, or None."""
    if arrival.request.method == "GET" and arrival.request.has_body:
        return EngineError(Problem.BAD_REQUEST)
    return proxied.why_refused(arrival.request)


def _check_upgrade(arrival: Arrival, session: PassedSession) -> None:
    """Check a request for the WebSocket of a connection.

    Raises:
        EngineError: it is not a handshake, or not the first one of the connection.
    """
    request = arrival.request
    if session.upgrading or not is_upgrade(request) or check_upgrade(request) is not None:
        raise EngineError(Problem.BAD_REQUEST)
