"""Studio's own control routes: events and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from memmie_fake_base.bodies import only, optional, read_object, required
from memmie_fake_base.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memmie_fake_studio.connection import Connection
    from memmie_fake_studio.studio import FakeStudio

_MOST_EVENTS = 100_000


def routes(studio: FakeStudio) -> Iterable[web.AbstractRouteDef]:
    """Return the routes."""

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
        if not 1 <= count <= _MOST_EVENTS:
            raise Problem(400, "bad_field", f"count: {count} given, allowed: 1-{_MOST_EVENTS}")
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
