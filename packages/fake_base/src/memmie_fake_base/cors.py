"""Cross-origin requests (CORS): which web pages may read a fake's answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from memmie_fake_base import control
from memmie_fake_base.hijack import Hijacked

ANY: Final = "*"
"""Stands for every origin."""

_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

_PREFLIGHT_SECONDS: Final = "600"
"""How long a browser may remember the answer to a preflight."""

_MOST_TOLD: Final = 20
"""How many origins are reported; a page cannot fill a log."""

_log = logging.getLogger(__name__)


def check_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Return the origins, each as a browser writes it in the header `Origin`.

    Raises:
        ValueError: one is neither an origin nor `*`; the message says what is expected.
    """
    checked = []
    for origin in origins:
        if origin != ANY and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"cors_origins: {origin!r} is given; an origin such as http://localhost:5173 is expected "
                "(scheme, host and port, without a path or a slash at the end), or * for all"
            )
        checked.append(origin.lower())
    return tuple(checked)


def cors(origins: tuple[str, ...]) -> Middleware:
    """Return a middleware that lets pages of these origins read every answer but those of control routes.

    It also answers preflights, so that neither faults nor routes see them. Each other origin is reported once as a
    warning, because the browser tells only its own console.
    """
    told: set[str] = set()

    def report(request: web.Request, origin: str) -> None:
        # CORS is not about WebSockets; and what a gateway forwards, it allows itself.
        if (
            not origin
            or origin in told
            or "Upgrade" in request.headers
            or "X-Forwarded-For" in request.headers
        ):
            return
        if len(told) < _MOST_TOLD:
            told.add(origin)
            shown = ascii(origin[:100])
            _log.warning(
                "the browser blocks pages of %s, which --cors-origin does not name, at %s",
                shown,
                request.host,
            )

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        if control.is_control(request):
            return await handler(request)
        origin = request.headers.get("Origin", "")
        allowed = bool(origin) and (ANY in origins or origin.lower() in origins)
        if not allowed:
            report(request, origin)
        asked_method = request.headers.get("Access-Control-Request-Method", "")
        if request.method == "OPTIONS" and allowed and asked_method:
            response: web.StreamResponse = web.Response(status=204)
            response.headers["Access-Control-Allow-Methods"] = asked_method
            response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
            if names := request.headers.get("Access-Control-Request-Headers"):
                response.headers["Access-Control-Allow-Headers"] = names
        else:
            response = await handler(request)
        if origins and not isinstance(response, Hijacked):
            response.headers.add("Vary", "Origin")
            if allowed:
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Expose-Headers"] = "*"
        return response

    return allow
