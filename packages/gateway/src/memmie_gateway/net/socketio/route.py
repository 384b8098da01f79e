"""The route `/socket.io/`: opens the connections of clients that speak Socket.IO, and finds those that are open (spec §1)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from memmie_gateway.core.http import cors
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import FIRST_MESSAGE_SOURCES, find_credentials
from memmie_gateway.core.http.forwarding import is_host
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.response import header_lines
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.handshake import POLLING, Problem, Wish, read_wish
from memmie_gateway.core.steps import Steps, run
from memmie_gateway.core.websocket import acceptance
from memmie_gateway.core.websocket.handshake import check_upgrade, is_upgrade
from memmie_gateway.net import clock
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.admission import Admission
from memmie_gateway.net.ingress.body import read_body
from memmie_gateway.net.ingress.listener import Elsewhere, Refusal
from memmie_gateway.net.socketio.answers import EngineError, refuse_request
from memmie_gateway.net.socketio.client import TranslatedClient
from memmie_gateway.net.socketio.opening import (
    PollingOpening,
    SocketIoOpening,
    SocketIoOptions,
    WebSocketOpening,
    new_sid,
)
from memmie_gateway.net.socketio.polling import PollingCarrier
from memmie_gateway.net.socketio.upgrade import Upgrading
from memmie_gateway.net.socketio.websocket_carrier import WebSocketCarrier
from memmie_gateway.net.websocket import WebSocketRoute

_PREFLIGHT: Final = "Allow: GET, OPTIONS, POST\r\n" + header_lines(cors.preflight_fields(("GET", "POST")))
"""The further header lines of the answer to a preflight."""


class SocketIoRoute:
    """Serves clients that speak Socket.IO.

    Args:
        options: how they are served.
        websocket: the route of plain WebSockets, which starts all sessions.
        admission: admits clients.
        dispatcher: finds a backend.
        elsewhere: counts clients that poll and are not connected yet.
    """

    def __init__(
        self,
        options: SocketIoOptions,
        websocket: WebSocketRoute,
        *,
        admission: Admission,
        dispatcher: Dispatcher,
        elsewhere: Elsewhere,
    ) -> None:
        self._elsewhere = elsewhere
        self._options = options
        self._websocket = websocket
        self._admission = admission
        self._dispatcher = dispatcher
        self._origins = websocket.origins
        self._polling: dict[str, PollingCarrier] = {}
        self._openings: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<SocketIoRoute openings={len(self._openings)} polling={len(self._polling)}>"

    async def stop(self) -> None:
        """Refuse the clients that are not connected yet, and end what is left."""
        tasks = list(self._openings)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for carrier in list(self._polling.values()):
            carrier.abort()

    def __call__(self, arrival: Arrival, handover: Handover) -> None:
        """Serve a request."""
        request = arrival.request
        if request.method == "OPTIONS":
            rest = run(self._preflight(arrival, handover))
        elif isinstance(wish := read_wish(request.query, polling=self._options.polling), Problem):
            rest = run(self._refuse_late(arrival, handover, EngineError(wish)))
        elif wish.sid:
            rest = self._find(wish, arrival, handover)
        elif wish.transport == POLLING:
            self._open_polling(arrival, handover)
            return
        else:
            opening = WebSocketOpening(self._websocket, arrival, self._options, handover)
            rest = run(self._connect(opening, self._check_upgrade(arrival)))
        if rest is not None:
            handover.start(rest)

    # Openings.

    def _open_polling(self, arrival: Arrival, handover: Handover) -> None:
        opening = PollingOpening(
            self._websocket,
            arrival,
            self._options,
            handover,
            make_carrier=self._make_carrier,
            refuse=self._answer_refusal,
            answer=self._answer_packets,
        )
        rest = run(self._connect(opening, self._check_get(arrival)))
        if rest is not None:
            task = asyncio.get_running_loop().create_task(rest)
            self._openings.add(task)
            self._elsewhere.count += 1
            task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._openings.discard(task)
        self._elsewhere.count -= 1

    def _check_get(self, arrival: Arrival) -> Steps[None]:
        self._ensure_open()
        if arrival.request.method != "GET" or is_upgrade(arrival.request):
            yield from self._admission.refuse_invalid(arrival, EngineError(Problem.BAD_METHOD))
        hosts = arrival.request.headers.all(b"host")
        if len(hosts) != 1 or not is_host(hosts[0]):
            words = "exactly one Host header is needed, with a name or an address"
            yield from self._admission.refuse_invalid(arrival, RefusedError(Cause.BAD_REQUEST, words))
        yield from self._check_origin(arrival)

    def _check_upgrade(self, arrival: Arrival) -> Steps[None]:
        self._ensure_open()
        if not is_upgrade(arrival.request):
            yield from self._admission.refuse_invalid(arrival, RefusedError(Cause.NOT_AN_UPGRADE))
        problem = check_upgrade(arrival.request)
        if problem is not None:
            yield from self._admission.refuse_invalid(arrival, RefusedError(*problem))
        yield from self._check_origin(arrival)

    def _ensure_open(self) -> None:
        if not self._websocket.options.enabled:
            raise RefusedError(Cause.DISABLED)
        self._admission.ensure_open()

    def _check_origin(self, arrival: Arrival) -> Steps[None]:
        if not self._origins.allow(arrival.request.headers):
            yield from self._admission.refuse_invalid(arrival, self._origins.refusal(arrival.request.headers))

    def _connect(self, opening: SocketIoOpening, check: Steps[None]) -> Steps[None]:
        """Connect a client, or refuse it."""
        try:
            yield from check
            admitted = yield from self._admission.admit(opening.without_token, opening.late_token)
            opening.admitted = admitted
            link = yield from self._dispatcher.dispatch(admitted.identity.user_id, opening)
            self._websocket.start_session(opening, admitted, link)
        except RefusedError as error:
            opening.give_up(error)
        except asyncio.CancelledError:
            left = opening.gone  # otherwise the gateway is stopping
            opening.give_up(RefusedError(Cause.CLIENT_LEFT if left else Cause.DRAINING))
        except Exception as error:  # noqa: BLE001 - a bug affects this client only, and is logged
            opening.give_up(RefusedError(Cause.INTERNAL))
            answers.report_bug(error)

    # Requests of clients that poll.

    def _make_carrier(self, arrival: Arrival) -> PollingCarrier:
        options = self._options
        carrier = PollingCarrier(
            new_sid(),
            arrival.request.headers.all(b"origin"),
            answer=self._answer_packets,
            max_payload=options.max_message_bytes,
            silence=options.times.interval + options.times.timeout,
            on_end=self._forget,
        )
        self._polling[carrier.sid] = carrier
        return carrier

    def _forget(self, carrier: PollingCarrier) -> None:
        del self._polling[carrier.sid]

    def _find(self, wish: Wish, arrival: Arrival, handover: Handover) -> Coroutine[Any, Any, None] | None:
        """Serve a request of an open connection; it counts neither as a connect nor as a connection."""
        request = arrival.request
        carrier = self._polling.get(wish.sid)
        if carrier is None:
            return run(self._refuse_late(arrival, handover, EngineError(Problem.UNKNOWN_SID)))
        try:
            origin, upgrade = request.headers.all(b"origin"), wish.transport != POLLING
            allowed = self._origins.allow(request.headers)
            if not (allowed and carrier.origin.allows(origin, request.method, upgrade=upgrade)):
                raise EngineError(Problem.BAD_REQUEST)
            if upgrade:
                self._upgrade(carrier, arrival, handover)
            elif request.method == "GET":
                carrier.poll(arrival, handover)
            elif request.method == "POST":
                carrier.begin_post(handover)
                return self._read_post(carrier, arrival, handover)
            else:
                raise EngineError(Problem.BAD_METHOD)
        except RefusedError as error:
            return run(self._refuse_late(arrival, handover, error))  # only what succeeds costs no connect
        return None

    async def _read_post(self, carrier: PollingCarrier, arrival: Arrival, handover: Handover) -> None:
        handover.uncount()
        try:
            try:
                with clock.timeout(self._options.body_seconds):
                    body = await read_body(arrival.request, handover, self._options.max_body_bytes)
            except TimeoutError:
                raise RefusedError(Cause.HEAD_LATE, "the request body took too long to arrive") from None
            except RefusedError as error:
                too_big = error.cause is Cause.BODY_TOO_BIG
                cause = Cause.CLIENT_TOO_BIG if too_big else Cause.CLIENT_VIOLATION
                carrier.broke(cause, cause.ending.words)
                raise
            carrier.posted(arrival, handover, body)
        except RefusedError as error:
            self._refuse_now(arrival, handover, error)
        finally:
            carrier.post_failed()  # if it was not posted

    def _upgrade(self, polling: PollingCarrier, arrival: Arrival, handover: Handover) -> None:
        """Begin the upgrade of a client to a WebSocket."""
        problem = check_upgrade(arrival.request)
        client = polling.owner
        if problem is not None or polling.upgrading or not isinstance(client, TranslatedClient):
            raise EngineError(Problem.BAD_REQUEST)
        polling.upgrading = True
        credentials = find_credentials(arrival.request, FIRST_MESSAGE_SOURCES)
        handover.transport.write(acceptance.own_answer(arrival, credentials.selected))
        websocket = WebSocketCarrier(handover, self._options.max_body_bytes)
        websocket.owner = Upgrading(websocket, polling, client)
        polling.probe = websocket
        websocket.begin()
        websocket.taken()  # it does not count as a connection of its address (spec §1)

    # Answers.

    def _preflight(self, arrival: Arrival, handover: Handover) -> Steps[None]:
        try:
            yield from self._admission.limit_rate(arrival.client.limit_key)
            if not self._origins.allow(arrival.request.headers):
                raise self._origins.refusal(arrival.request.headers)
        except RefusedError as error:
            self._refuse_now(arrival, handover, error)
        else:
            answers.answer(arrival, handover, 204, extra=_PREFLIGHT + self._cors(arrival))

    def _refuse_late(self, arrival: Arrival, handover: Handover, error: RefusedError) -> Steps[None]:
        """Refuse a request that belongs to no connection, and so counts as a connect."""
        try:
            yield from self._admission.refuse_invalid(arrival, error)
        except RefusedError as refused:
            self._refuse_now(arrival, handover, refused)

    def _refuse_now(self, arrival: Arrival, handover: Handover, error: RefusedError) -> None:
        self._websocket.events.refused(Refusal.of(arrival, error))
        self._answer_refusal(arrival, handover, error)

    def _answer_refusal(self, arrival: Arrival, handover: Handover, error: RefusedError) -> None:
        refuse_request(arrival, handover, error, self._cors(arrival))

    def _answer_packets(self, arrival: Arrival, handover: Handover, body: bytes) -> None:
        answers.answer(arrival, handover, 200, body, "text/plain; charset=UTF-8", self._cors(arrival))

    def _cors(self, arrival: Arrival) -> str:
        return header_lines(cors.page_of(self._origins, arrival.request.headers).fields)
