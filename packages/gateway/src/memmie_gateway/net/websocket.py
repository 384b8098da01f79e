"""The WebSocket route: admit the client, dispatch it to a backend, answer it, and start its session.

    arrival → admission → dispatch → dial → answer → session

These steps run synchronously until one has to wait, which is at the latest the dial.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import ALL_SOURCES, FIRST_MESSAGE_SOURCES, Credentials
from memmie_gateway.core.http.origins import Origins
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.socketio import handshake as engine_io
from memmie_gateway.core.steps import Maybe, Steps, run
from memmie_gateway.core.websocket import handshake
from memmie_gateway.core.websocket.keepalive import Advice
from memmie_gateway.net.backends.backend import Backend, BackendLink
from memmie_gateway.net.backends.dialer import Dialer
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.backends.ejector import Ejector
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.handover import Handover, Held
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.admission import Admission, Admitted, LateToken
from memmie_gateway.net.ingress.listener import Refusal
from memmie_gateway.net.ingress.readable import ReadableByPages
from memmie_gateway.net.ingress.upgrade import NegotiatedEndToEnd, TerminatedHere, Upgrade
from memmie_gateway.net.sessions.leases import Leases
from memmie_gateway.net.sessions.options import SessionInfo, SessionOptions, Shared
from memmie_gateway.net.sessions.registry import SessionRegistry
from memmie_gateway.net.sessions.session import Session
from memmie_gateway.net.sessions.wheel import Wheel
from memmie_gateway.net.timeouts import Timeouts

PATHS: Final = ("/ws", "/websocket", "/api/v1/ws")
"""The paths of the WebSocket route (spec §1)."""

_BROKEN: Final = (Cause.BACKEND_GONE, Cause.BACKEND_SILENT, Cause.BACKEND_VIOLATION)
"""The causes of ends that are evidence against the backend."""


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """Which handshakes are accepted.

    Attributes:
        enabled: whether WebSockets are served at all.
        allowed_origins: origins of pages that may connect; "*" for all.
        first_message_auth: whether the token may come in the first message.
        first_message_seconds: maximum time until it arrives.
        browser_refusals: whether refused pages are told by a Close frame.
    """

    enabled: bool
    allowed_origins: tuple[str, ...]
    first_message_auth: bool
    first_message_seconds: float
    browser_refusals: bool


class Events(Protocol):
    """Receives the events of clients, for logs and metrics."""

    def refused(self, refusal: Refusal) -> None:
        """A client was refused."""

    def dial_failed(self, backend: Backend, request_id: str, words: str) -> None:
        """A backend did not accept a connection; the next one is tried."""

    def subprotocol_unselected(self, backend: Backend, request_id: str) -> None:
        """A backend did not select the subprotocol that the gateway has selected for the client."""

    def ended(self, session: Session) -> None:
        """A live session is over."""


class Opening(ABC):
    """The opening of one client's session, which is also the attempt that the dispatcher tries on backends.

    Args:
        route: the route that dials backends and starts sessions.
        arrival: the client's request.

    Attributes:
        admitted: the result of admission; None before it.
        arrival: as given.
        backend: the last backend that was tried; None for none.
        protocol: see `SessionInfo`.
    """

    __slots__ = ("_route", "admitted", "arrival", "backend")

    protocol: str

    def __init__(self, route: WebSocketRoute, arrival: Arrival) -> None:
        self._route = route
        self.admitted: Admitted | None = None
        self.arrival = arrival
        self.backend: Backend | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.arrival!r}>"

    @property
    @abstractmethod
    def upgrade(self) -> Upgrade:
        """The way in which its handshake is answered."""

    @property
    @abstractmethod
    def handover(self) -> Held:
        """The client's connection, as its session sees it."""

    def give_up(self, error: RefusedError) -> None:
        """Release the client's slots, report the refusal, and answer the client unless it has left."""
        user_id = error.user_id
        if self.admitted is not None:
            self.admitted.slots.release()
            user_id = self.admitted.identity.user_id
        told = error.cause is not Cause.CLIENT_LEFT
        refusal = Refusal.of(self.arrival, error)._replace(
            user_id=user_id,
            backend=self.backend.name if self.backend is not None else "",
            close_code=self.upgrade.close_code(error) if told else None,
        )
        self._route.events.refused(refusal)
        if told:
            self.upgrade.refuse(error)
        else:
            self.drop()

    @abstractmethod
    def drop(self) -> None:
        """End what a client that has left still has here."""

    # The attempt (see `Dispatcher`).

    def on(self, backend: Backend, seconds: float) -> Maybe[BackendLink]:
        """Dial a backend for at most `seconds`."""
        admitted = self.admitted
        assert admitted is not None  # noqa: S101 - dispatch comes after admission
        self.backend = backend
        head, offer = self.upgrade.request_for(backend.where, admitted.credentials, admitted.identity.user_id)
        return self._route.dialer.dial(backend, head, offer, seconds)

    def failed(self, backend: Backend, words: str) -> None:
        """Report that a backend did not accept the connection."""
        self._route.events.dial_failed(backend, self.arrival.id, words)

    def abandon(self, link: BackendLink) -> None:
        """Drop a connection that is not needed."""
        link.connection.transport.abort()


class WebSocketRoute:
    """Serves WebSocket clients.

    Args:
        options: which handshakes are accepted.
        session_options: how sessions behave.
        admission: admits clients.
        dispatcher: finds a backend.
        dialer: connects to backends.
        ejector: learns how sessions ended.
        sessions: the live sessions.
        on_dead: called when one side of a session is dead.
        clock: tells the time for keepalive and the idle time-out.
        leases: end sessions when their tokens end.
        events: notified of refusals and ends.
        rng: creates keys.

    Attributes:
        options: as given.
        origins: the origins of pages that may connect.
        dialer: as given.
        events: as given.
        rng: as given.
    """

    def __init__(
        self,
        options: WebSocketOptions,
        session_options: SessionOptions,
        *,
        admission: Admission,
        dispatcher: Dispatcher,
        dialer: Dialer,
        ejector: Ejector,
        sessions: SessionRegistry,
        on_dead: Callable[[Session, Side, Advice], None],
        clock: Clock,
        leases: Leases,
        events: Events,
        rng: random.Random,
    ) -> None:
        self.options = options
        self.origins = Origins(options.allowed_origins)
        self._session_options = session_options
        looks = Wheel(Session.look, clock.loop_time, tick=session_options.look_tick)
        closings = Timeouts(session_options.close_timeout, Session.expire, clock)
        self._shared = Shared(rng, clock, looks, closings, on_dead, self._ended)
        self._admission = admission
        self._dispatcher = dispatcher
        self.dialer = dialer
        self._ejector = ejector
        self._sessions = sessions
        self._leases = leases
        self.events = events
        self.rng = rng

    def __call__(self, arrival: Arrival, handover: Handover) -> None:
        """Serve a client; if a step has to wait, the rest runs as the task of the handover."""
        rest = run(self._serve(PlainOpening(self, arrival, handover)))
        if rest is not None:
            handover.start(rest)

    def _serve(self, opening: PlainOpening) -> Steps[None]:
        arrival = opening.arrival
        try:
            if not handshake.is_upgrade(arrival.request):
                yield from self._admission.refuse_invalid(arrival, RefusedError(Cause.NOT_AN_UPGRADE))
            if not self.options.enabled:
                raise RefusedError(Cause.DISABLED)  # noqa: TRY301 - every refusal is answered below
            self._admission.ensure_open()
            problem = handshake.check_upgrade(arrival.request)
            if problem is not None:
                yield from self._admission.refuse_invalid(arrival, RefusedError(*problem))
            if self.options.browser_refusals and _is_of_page(arrival):
                opening.tell_page()
            if not self.origins.allow(arrival.request.headers):
                yield from self._refuse_origin(arrival)
            admitted = yield from self._admission.admit(arrival, opening.late_token)
            opening.admitted = admitted
            link = yield from self._dispatcher.dispatch(admitted.identity.user_id, opening)
            self.start_session(opening, admitted, link)
        except RefusedError as error:
            opening.give_up(error)
        except asyncio.CancelledError:
            left = opening.handover.transport.is_closing()  # otherwise the gateway is stopping
            opening.give_up(RefusedError(Cause.CLIENT_LEFT if left else Cause.DRAINING))
        except Exception as error:  # noqa: BLE001 - a bug affects this client only, and is logged
            opening.give_up(RefusedError(Cause.INTERNAL))
            answers.report_bug(error)

    def _refuse_origin(self, arrival: Arrival) -> Steps[None]:
        """Refuse a page of another origin, unless the limits by address refuse it, which no page is told."""
        yield from self._admission.limit_address(arrival.client.limit_key)
        raise self.origins.refusal(arrival.request.headers)

    def start_session(self, opening: Opening, admitted: Admitted, link: BackendLink) -> None:
        """Answer a client, and start its session.

        Raises:
            RefusedError: the gateway is shutting down, or the connection to be replaced is alive again.
        """
        if self._admission.draining:
            opening.abandon(link)
            raise RefusedError(Cause.DRAINING)
        if admitted.replacement is not None and not admitted.replacement.carry_out():
            opening.abandon(link)
            raise RefusedError(Cause.USER_FULL)
        try:
            session = self._make_session(opening, admitted, link)
        except Exception:
            opening.abandon(link)
            raise
        self._sessions.add(session)
        self._leases.begun(session, admitted.credentials.token or "")
        try:
            session.start()
        except Exception as error:  # noqa: BLE001 - the connections are the session's now, so it has to end them
            session.abort()
            answers.report_bug(error)

    def _make_session(self, opening: Opening, admitted: Admitted, link: BackendLink) -> Session:
        arrival, identity = opening.arrival, admitted.identity
        if opening.upgrade.accept(link.accepted, admitted.credentials):
            self.events.subprotocol_unselected(link.backend, arrival.id)
        return Session(
            SessionInfo(arrival.id, arrival.request.path, arrival.client, identity, opening.protocol),
            opening.handover,
            link,
            options=self._session_options,
            bucket=self._admission.stores.messages.bucket(identity.user_id, self._admission.limits.messages),
            slots=admitted.slots,
            shared=self._shared,
        )

    def _ended(self, session: Session) -> None:
        self._sessions.remove(session)
        self._leases.ended(session)
        closing = session.closing
        user_id = session.info.identity.user_id
        broken = closing is not None and closing.cause in _BROKEN
        if closing is not None and broken and closing.cause is not Cause.BACKEND_VIOLATION:
            session.backend.broke(user_id, f"a connection broke: {session.error or closing.reason}")
        self._ejector.ended(session.backend, user_id, session.started, broken=broken)
        self.events.ended(session)


class PlainOpening(Opening):
    """The opening of a client whose WebSocket is forwarded as it is.

    Args:
        route: as for `Opening`.
        arrival: as for `Opening`.
        handover: the client's connection.

    Attributes:
        handover: as given.
        upgrade: the way in which its handshake is answered.
    """

    __slots__ = ("handover", "upgrade")

    protocol = "websocket"
    handover: Handover
    upgrade: Upgrade

    def __init__(self, route: WebSocketRoute, arrival: Arrival, handover: Handover) -> None:
        super().__init__(route, arrival)
        self.handover = handover
        self.upgrade = NegotiatedEndToEnd(arrival, handover)

    @property
    def late_token(self) -> LateToken | None:
        """The function that reads the token from the first message; None if that is switched off."""
        return self._read_first_message if self._route.options.first_message_auth else None

    def tell_page(self) -> None:
        """Tell the client of a refusal in the way that a web page can read."""
        late = self._route.options.first_message_auth
        self.upgrade = ReadableByPages(
            self.arrival, self.handover, FIRST_MESSAGE_SOURCES if late else ALL_SOURCES
        )

    def drop(self) -> None:
        """Do nothing, because its connection has ended."""

    def _read_first_message(self, credentials: Credentials) -> Maybe[Credentials]:
        upgrade = TerminatedHere(self.arrival, self.handover, self._route.rng.randbytes(16))
        self.upgrade = upgrade
        return upgrade.token(credentials, self._route.options.first_message_seconds)


def _is_of_page(arrival: Arrival) -> bool:
    """Tell whether a page has opened a WebSocket by itself; a client of Engine.IO shows no close code before its first packet."""
    request = arrival.request
    return request.headers.get(b"origin") is not None and request.path != engine_io.PATH
