"""The route `/socket.io/`: opens the connections of clients that speak Socket.IO, and finds those that are open (spec §1)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import FIRST_MESSAGE_SOURCES, find_credentials
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.handshake import POLLING, Problem, Wish, read_wish
from memmie_gateway.core.steps import Steps, run
from memmie_gateway.core.websocket import acceptance
from memmie_gateway.core.websocket.handshake import check_upgrade
from memmie_gateway.net import clock
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.admission import Admission
from memmie_gateway.net.ingress.body import BodyLimit, read_body
from memmie_gateway.net.ingress.listener import Elsewhere
from memmie_gateway.net.socketio.answers import EngineError
from memmie_gateway.net.socketio.client import TranslatedClient
from memmie_gateway.net.socketio.door import Door
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
        self._door = Door(websocket, admission)
        self._polling: dict[str, PollingCarrier] = {}
        self._openings: set[asyncio.Task[None]] = set()
        self._max_body = BodyLimit(options.max_body_bytes, "MAX_MESSAGE_BYTES")

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
            rest = run(self._door.preflight(arrival, handover))
        elif isinstance(wish := read_wish(request.query, polling=self._options.polling), Problem):
            rest = run(self._door.refuse_late(arrival, handover, EngineError(wish)))
        elif wish.sid:
            rest = self._find(wish, arrival, handover)
        elif wish.transport == POLLING:
            self._open_polling(arrival, handover)
            return
        else:
            opening = WebSocketOpening(self._websocket, arrival, self._options, handover)
            rest = run(self._connect(opening, self._door.check_upgrade(arrival)))
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
            refuse=self._door.answer_refusal,
            answer=self._door.answer_packets,
        )
        rest = run(self._connect(opening, self._door.check_get(arrival)))
        if rest is not None:
            task = asyncio.get_running_loop().create_task(rest)
            self._openings.add(task)
            self._elsewhere.count += 1
            task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._openings.discard(task)
        self._elsewhere.count -= 1

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
            answer=self._door.answer_packets,
            max_payload=options.max_message_bytes,
            silence=options.times.interval + options.times.timeout,
            on_end=self._forget,
        )
        self._polling[carrier.sid] = carrier
        return carrier

    def _forget(self, carrier: PollingCarrier) -> None:
        del self._polling[carrier.sid]
        self._door.note_end(carrier.sid)

    def _find(self, wish: Wish, arrival: Arrival, handover: Handover) -> Coroutine[Any, Any, None] | None:
        """Serve a request of an open connection; it counts neither as a connect nor as a connection."""
        request = arrival.request
        carrier = self._polling.get(wish.sid)
        if carrier is None:
            return run(self._door.refuse_unknown(wish.sid, arrival, handover))
        try:
            upgrade = wish.transport != POLLING
            self._door.check_owner(arrival, carrier.origin, upgrade=upgrade)
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
            return run(
                self._door.refuse_late(arrival, handover, error)
            )  # only what succeeds costs no connect
        return None

    async def _read_post(self, carrier: PollingCarrier, arrival: Arrival, handover: Handover) -> None:
        handover.uncount()
        try:
            try:
                with clock.timeout(self._options.body_seconds):
                    body = await read_body(arrival.request, handover, self._max_body)
            except TimeoutError:
                raise RefusedError(Cause.HEAD_LATE, "the request body took too long to arrive") from None
            except RefusedError as error:
                too_big = error.cause is Cause.BODY_TOO_BIG
                cause = Cause.CLIENT_TOO_BIG if too_big else Cause.CLIENT_VIOLATION
                carrier.broke(cause, cause.ending.words)
                raise
            carrier.posted(arrival, handover, body)
        except RefusedError as error:
            self._door.refuse_now(arrival, handover, error)
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
