"""What requests for `/socket.io/` must fulfil to open a connection, and the gateway's own answers to them (spec §1)."""

from __future__ import annotations

import asyncio
from typing import Final

from memmie_gateway.core.http import cors
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.forwarding import is_host
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.response import header_lines
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.ended_sids import EndedSids
from memmie_gateway.core.socketio.handshake import Problem
from memmie_gateway.core.socketio.owner_origin import OwnerOrigin
from memmie_gateway.core.steps import Steps
from memmie_gateway.core.websocket.handshake import check_upgrade, is_upgrade
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.admission import Admission
from memmie_gateway.net.ingress.listener import Refusal
from memmie_gateway.net.socketio.answers import TEXT, EngineError, refuse_request
from memmie_gateway.net.websocket import WebSocketRoute

_PREFLIGHT: Final = "Allow: GET, OPTIONS, POST\r\n" + header_lines(cors.preflight_fields(("GET", "POST")))
"""The further header lines of the answer to a preflight."""


class Door:
    """Checks and refuses requests for `/socket.io/`.

    Args:
        websocket: the route of plain WebSockets, with the same options, origins and events.
        admission: counts requests.
    """

    def __init__(self, websocket: WebSocketRoute, admission: Admission) -> None:
        self._admission = admission
        self._ended = EndedSids()
        self._origins = websocket.origins
        self._websocket = websocket

    def __repr__(self) -> str:
        return f"<Door {self._admission!r}>"

    # Requests that open a connection.

    def check_get(self, arrival: Arrival) -> Steps[None]:
        """Check a request that opens a connection over long-polling.

        Raises:
            RefusedError: it is refused.
        """
        self._ensure_open()
        if arrival.request.method != "GET" or is_upgrade(arrival.request):
            yield from self._admission.refuse_invalid(arrival, EngineError(Problem.BAD_METHOD))
        hosts = arrival.request.headers.all(b"host")
        if len(hosts) != 1 or not is_host(hosts[0]):
            words = "exactly one Host header is needed, with a name or an address"
            yield from self._admission.refuse_invalid(arrival, RefusedError(Cause.BAD_REQUEST, words))
        yield from self._check_origin(arrival)

    def check_upgrade(self, arrival: Arrival) -> Steps[None]:
        """Check a request that opens a connection over a WebSocket.

        Raises:
            RefusedError: it is refused.
        """
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

    # Requests of an open connection.

    def check_owner(self, arrival: Arrival, origin: OwnerOrigin, *, upgrade: bool) -> None:
        """Check that a request comes from the origin of its connection.

        Raises:
            EngineError: it does not.
        """
        headers = arrival.request.headers
        if not (
            self._origins.allow(headers)
            and origin.allows(headers.all(b"origin"), arrival.request.method, upgrade=upgrade)
        ):
            raise EngineError(Problem.BAD_REQUEST)

    # Requests of a connection that is not open.

    def note_end(self, sid: str) -> None:
        """Note that a connection has ended."""
        self._ended.add(sid, asyncio.get_running_loop().time())

    def refuse_unknown(self, sid: str, arrival: Arrival, handover: Handover) -> Steps[None]:
        """Refuse a request of a connection that is not open; if it has just ended, this is not worth a line in the log."""
        error = EngineError(Problem.UNKNOWN_SID)
        if self._ended.take(sid, asyncio.get_running_loop().time()):
            self.answer_refusal(arrival, handover, error)
        else:
            yield from self.refuse_late(arrival, handover, error)

    # Answers.

    def preflight(self, arrival: Arrival, handover: Handover) -> Steps[None]:
        """Answer a preflight."""
        try:
            yield from self._admission.limit_rate(arrival.client.limit_key)
            if not self._origins.allow(arrival.request.headers):
                raise self._origins.refusal(arrival.request.headers)
        except RefusedError as error:
            self.refuse_now(arrival, handover, error)
        else:
            answers.answer(arrival, handover, 204, extra=_PREFLIGHT + self._cors(arrival))

    def refuse_late(self, arrival: Arrival, handover: Handover, error: RefusedError) -> Steps[None]:
        """Refuse a request that belongs to no connection, and so counts as a connect."""
        try:
            yield from self._admission.refuse_invalid(arrival, error)
        except RefusedError as refused:
            self.refuse_now(arrival, handover, refused)

    def refuse_now(self, arrival: Arrival, handover: Handover, error: RefusedError) -> None:
        """Refuse a request, and report it."""
        self._websocket.events.refused(Refusal.of(arrival, error))
        self.answer_refusal(arrival, handover, error)

    def answer_refusal(self, arrival: Arrival, handover: Handover, error: RefusedError) -> None:
        """Answer a request that is refused."""
        refuse_request(arrival, handover, error, self._cors(arrival))

    def answer_packets(self, arrival: Arrival, handover: Handover, body: bytes) -> None:
        """Answer a request with packets."""
        answers.answer(arrival, handover, 200, body, TEXT, self._cors(arrival))

    def _cors(self, arrival: Arrival) -> str:
        return header_lines(cors.page_of(self._origins, arrival.request.headers).fields)
