"""The route `/socket.io/`: opens the connections of clients that speak Socket.IO (spec §1)."""

from __future__ import annotations

import asyncio

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.origins import Origins
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.handshake import Problem, Wish, read_wish
from memmie_gateway.core.steps import Steps, run
from memmie_gateway.core.websocket import handshake
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.admission import Admission
from memmie_gateway.net.ingress.listener import Refusal
from memmie_gateway.net.socketio.answers import EngineError
from memmie_gateway.net.socketio.opening import SocketIoOpening, SocketIoOptions, WebSocketOpening
from memmie_gateway.net.websocket import WebSocketRoute


class SocketIoRoute:
    """Serves clients that speak Socket.IO.

    Args:
        options: how they are served.
        websocket: the route of plain WebSockets, which starts all sessions.
        admission: admits clients.
        dispatcher: finds a backend.
    """

    def __init__(
        self,
        options: SocketIoOptions,
        websocket: WebSocketRoute,
        *,
        admission: Admission,
        dispatcher: Dispatcher,
    ) -> None:
        self._options = options
        self._websocket = websocket
        self._admission = admission
        self._dispatcher = dispatcher
        self._origins = Origins(websocket.options.allowed_origins)

    def __call__(self, arrival: Arrival, handover: Handover) -> None:
        """Serve a request."""
        wish = read_wish(arrival.request.query, polling=self._options.polling)
        rest = run(self._serve(arrival, handover, wish))
        if rest is not None:
            handover.start(rest)

    def _serve(self, arrival: Arrival, handover: Handover, wish: Wish | Problem) -> Steps[None]:
        opening = WebSocketOpening(self._websocket, arrival, self._options, handover)
        yield from self._connect(opening, self._check(arrival, wish))

    def _check(self, arrival: Arrival, wish: Wish | Problem) -> Steps[None]:
        """Check a request that opens a WebSocket."""
        request = arrival.request
        self._ensure_open()
        if isinstance(wish, Problem):
            yield from self._refuse_invalid(arrival, EngineError(wish))
        elif not handshake.is_upgrade(request):
            yield from self._refuse_invalid(arrival, RefusedError(Cause.NOT_AN_UPGRADE))
        problem = handshake.check_upgrade(request)
        if problem is not None:
            yield from self._refuse_invalid(arrival, RefusedError(*problem))
        if not self._origins.allow(request.headers):
            yield from self._refuse_invalid(arrival, RefusedError(Cause.ORIGIN_REFUSED))

    def _ensure_open(self) -> None:
        if not self._websocket.options.enabled:
            raise RefusedError(Cause.DISABLED)
        self._admission.ensure_open()

    def _refuse_invalid(self, arrival: Arrival, error: RefusedError) -> Steps[None]:
        """Refuse an invalid request, which counts against the connection rate as a valid one does."""
        yield from self._admission.limit_rate(arrival.client.limit_key)
        raise error

    def _connect(self, opening: SocketIoOpening, check: Steps[None]) -> Steps[None]:
        """Connect a client, or refuse it."""
        try:
            yield from check
            admitted = yield from self._admission.admit(opening.without_token, opening.late_token)
            opening.admitted = admitted
            link = yield from self._dispatcher.dispatch(admitted.identity.user_id, opening)
            self._websocket.start_session(opening, admitted, link)
        except RefusedError as error:
            self._refuse(opening, error)
        except asyncio.CancelledError:
            left = opening.gone  # otherwise the gateway is stopping
            self._refuse(opening, RefusedError(Cause.CLIENT_LEFT if left else Cause.DRAINING))
        except Exception as error:  # noqa: BLE001 - a bug affects this client only, and is logged
            self._refuse(opening, RefusedError(Cause.INTERNAL))
            answers.report_bug(error)

    def _refuse(self, opening: SocketIoOpening, error: RefusedError) -> None:
        """Release the client's slots, report the refusal, and answer the client unless it has left."""
        user_id = error.user_id
        if opening.admitted is not None:
            opening.admitted.slots.release()
            user_id = opening.admitted.identity.user_id
        told = error.cause is not Cause.CLIENT_LEFT
        refusal = Refusal.of(opening.arrival, error)._replace(
            user_id=user_id,
            backend=opening.backend.name if opening.backend is not None else "",
            close_code=opening.close_code(error) if told else None,
        )
        self._websocket.events.refused(refusal)
        if told:
            opening.refuse(error)
        else:
            opening.drop()
