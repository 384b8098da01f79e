"""The HTTP route `/token/renew`, for clients and for pages of allowed origins (spec §1)."""

from __future__ import annotations

import asyncio
import json
from typing import Final, Protocol

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.refusals import RefusedError, refusal_parts
from memmie_gateway.core.http.response import header_lines
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net import clock
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.body import BodyLimit, read_body
from memmie_gateway.net.ingress.listener import Refusal
from memmie_gateway.net.ingress.renewal import Renewal

MAX_BODY: Final = BodyLimit(64 * 1024)
"""Maximum size of the body of a request."""

_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


class Events(Protocol):
    """Receives the events of renewals, for logs and metrics."""

    def refused(self, refusal: Refusal) -> None:
        """A client was refused."""

    def renewed(self, arrival: Arrival, user_id: str, moved: int) -> None:
        """Connections of a user were moved to a new token."""


class RenewRoute:
    """Serves `POST /token/renew`, and its preflights.

    Args:
        renewal: renews.
        events: notified of renewals and refusals.
        body_seconds: maximum time until the body of a request is complete.
    """

    def __init__(self, renewal: Renewal, events: Events, *, body_seconds: float) -> None:
        self._renewal = renewal
        self._events = events
        self._body_seconds = body_seconds

    def preflight(self, arrival: Arrival, handover: Handover) -> None:
        """Answer a preflight, or another OPTIONS request."""
        try:
            origin = self._renewal.origin(arrival)
        except RefusedError as error:
            self._refuse(arrival, handover, error, "")
        else:
            self._answer(
                arrival,
                handover,
                204,
                b"",
                origin,
                {"Allow": "OPTIONS, POST"} | (_PREFLIGHT if origin else {}),
            )

    async def renew(self, arrival: Arrival, handover: Handover) -> None:
        """Move connections to another token, and answer; the rate of the client's address is limited here."""
        origin = ""
        try:
            origin = self._renewal.origin(arrival)
            user_id, moved = await self._renewal.renew(arrival, lambda: self._body(arrival, handover))
        except RefusedError as error:
            self._refuse(arrival, handover, error, origin)
        except asyncio.CancelledError:
            left = handover.transport.is_closing()  # otherwise the gateway is stopping
            self._refuse(
                arrival, handover, RefusedError(Cause.CLIENT_LEFT if left else Cause.DRAINING), origin
            )
        else:
            self._events.renewed(arrival, user_id, moved)
            self._answer(arrival, handover, 200, json.dumps({"moved": moved}).encode(), origin)

    async def _body(self, arrival: Arrival, handover: Handover) -> bytes:
        try:
            with clock.timeout(self._body_seconds):
                return await read_body(arrival.request, handover, MAX_BODY)
        except TimeoutError:
            raise RefusedError(Cause.HEAD_LATE, "the request body took too long to arrive") from None

    def _refuse(self, arrival: Arrival, handover: Handover, error: RefusedError, origin: str) -> None:
        self._events.refused(Refusal.of(arrival, error))
        body, fields = refusal_parts(error)
        self._answer(arrival, handover, error.status, body, origin, dict(fields))

    def _answer(
        self,
        arrival: Arrival,
        handover: Handover,
        status: int,
        body: bytes,
        origin: str,
        fields: dict[str, str] | None = None,
    ) -> None:
        fields = {"Vary": "Origin", **(fields or {})}
        if origin:
            fields["Access-Control-Allow-Origin"] = origin
            fields["Access-Control-Expose-Headers"] = "Retry-After"
        answers.answer(arrival, handover, status, body, extra=header_lines(fields.items()))
