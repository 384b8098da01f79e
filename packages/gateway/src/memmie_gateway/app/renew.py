"""The HTTP route `/token/renew`, for clients and for pages of allowed origins (spec §1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aiohttp import hdrs, web

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.refusals import RefusedError, refusal_parts
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net import clock
from memmie_gateway.net.ingress.listener import Refusal
from memmie_gateway.net.ingress.renewal import PATH, Renewal

_PREFLIGHT = {
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
        arrival: returns the arrival for the address of the TCP peer and a request; see `Listener.arrival`.
        events: notified of renewals and refusals.
        body_seconds: maximum time until the body of a request is complete.
    """

    def __init__(
        self,
        renewal: Renewal,
        arrival: Callable[[str, Request], Arrival],
        events: Events,
        *,
        body_seconds: float,
    ) -> None:
        self._renewal = renewal
        self._arrival = arrival
        self._events = events
        self._body_seconds = body_seconds

    def add_to(self, app: web.Application) -> None:
        """Add the route to an application."""
        app.router.add_post(PATH, self._serve)
        app.router.add_options(PATH, self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        arrival = self._arrival(request.remote or "0.0.0.0", _head_of(request))  # noqa: S104 - it is gone already
        origin = ""
        try:
            origin = self._renewal.origin(arrival)
            if request.method == hdrs.METH_OPTIONS:
                response = web.Response(status=204, headers={"Allow": "OPTIONS, POST"})
                if origin:
                    response.headers.update(_PREFLIGHT)
            else:
                user_id, moved = await self._renewal.renew(arrival, lambda: self._body(request))
                self._events.renewed(arrival, user_id, moved)
                response = web.json_response({"moved": moved})
        except RefusedError as error:
            self._events.refused(Refusal.of(arrival, error))
            body, fields = refusal_parts(error)
            response = web.Response(status=error.status, body=body, content_type="application/json")
            response.headers.extend(fields)
        if origin:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        response.headers["Vary"] = "Origin"
        return response

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with clock.timeout(self._body_seconds):
                return await request.read()
        except TimeoutError:
            raise RefusedError(Cause.HEAD_LATE, "the request body took too long to arrive") from None
        except web.HTTPRequestEntityTooLarge:
            raise RefusedError(Cause.BODY_TOO_BIG) from None
        except ConnectionError:
            raise RefusedError(Cause.CLIENT_LEFT) from None


def _head_of(request: web.Request) -> Request:
    """Return the head of a request as the parts of the gateway know it, without its query."""
    fields = tuple((name.lower(), value) for name, value in request.raw_headers)
    return Request(request.method, request.path, "", "1.1", Headers(fields))
