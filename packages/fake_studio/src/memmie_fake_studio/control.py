"""Studio's own control routes: emit events, list and end connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from aiohttp import web

from memmie_fake_base.bodies import only, optional, read_object, required
from memmie_fake_base.problems import Problem
from memmie_fake_studio.connection import Connection

_MAX_EVENTS: Final = 100_000
"""How many events one request may emit."""


class Controllable(Protocol):
    """The part of a fake Studio that its control routes use; `FakeStudio` describes each member."""

    @property
    def connections(self) -> Sequence[Connection]:
        """The live connections without health checks, oldest first."""

    def connection(self, connection_id: str) -> Connection:
        """Return a live connection; raises ValueError for an unknown id."""

    async def emit(self, user_id: str, event_type: str, data: Any = None, count: int = 1) -> int:
        """Push an event to a user's connections; return how many messages that made."""


def routes(studio: Controllable) -> Iterable[web.AbstractRouteDef]:
    """Return Studio's own control routes."""

    def find(request: web.Request) -> Connection:
        try:
            return studio.connection(request.match_info["id"])
        except ValueError as error:
            raise Problem(404, "not_found", str(error)) from None

    async def emit(request: web.Request) -> web.Response:
        body = await read_object(request)
        only(body, "user_id", "type", "data", "count")
        count = optional(body, "count", int)
        count = 1 if count is None else count
        if not 1 <= count <= _MAX_EVENTS:
            raise Problem(400, "bad_field", f"count: {count} is given; allowed: 1-{_MAX_EVENTS}")
        user_id, event_type = required(body, "user_id", str), required(body, "type", str)
        sent = await studio.emit(user_id, event_type, body.get("data"), count)
        return web.json_response({"sent": sent})

    async def list_connections(_: web.Request) -> web.Response:
        return web.json_response({"connections": [each.describe() for each in studio.connections]})

    async def close(request: web.Request) -> web.Response:
        connection = find(request)
        body = await read_object(request)
        only(body, "code", "reason")
        code = optional(body, "code", int)
        try:
            connection.close(1000 if code is None else code, optional(body, "reason", str) or "")
        except ValueError as error:
            raise Problem(400, "bad_field", str(error)) from None
        return web.Response(status=204)

    async def abort(request: web.Request) -> web.Response:
        find(request).abort()
        return web.Response(status=204)

    return [
        web.post("/_control/emit", emit),
        web.get("/_control/connections", list_connections),
        web.post("/_control/connections/{id}/close", close),
        web.post("/_control/connections/{id}/abort", abort),
    ]
