"""`/_control/…`: what a test in another process does instead of calling Python. Faults never strike it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from memmie_fake_base.bodies import optional, read_object, required
from memmie_fake_base.problems import Problem

if TYPE_CHECKING:
    from memmie_fake_base.server import FakeServer

_PREFIX = "/_control/"
_LOG_FILTERS = ("kind", "path", "connection", "user_id")
_SELECTORS = ("fault", "route", "user_id", "connection", "times")


def is_control(request: web.BaseRequest) -> bool:
    """Tell whether a request is a control request: not logged, not hit by faults."""
    return request.path.startswith(_PREFIX)


def routes(fake: FakeServer) -> list[web.AbstractRouteDef]:
    """Return the control routes both fakes have."""

    async def script(request: web.Request) -> web.Response:
        body = await read_object(request)
        parameters = {name: value for name, value in body.items() if name not in _SELECTORS}
        try:
            scripted = fake.script(
                required(body, "fault", str),
                route=optional(body, "route", str) or "*",
                user_id=optional(body, "user_id", str),
                connection=optional(body, "connection", str),
                times=optional(body, "times", int),
                **parameters,
            )
        except ValueError as error:
            raise Problem(400, "bad_fault", str(error)) from None
        return web.json_response(scripted.describe(), status=201)

    async def list_faults(_: web.Request) -> web.Response:
        return web.json_response({"faults": fake.faults, "available": sorted(fake.catalogue)})

    async def delete_fault(request: web.Request) -> web.Response:
        fault_id = request.match_info["id"]
        if not fake.unscript(fault_id):
            raise Problem(404, "not_found", f"no fault {fault_id!r} is scripted")
        return web.Response(status=204)

    async def read_log(request: web.Request) -> web.Response:
        unknown = sorted(request.query.keys() - set(_LOG_FILTERS))
        if unknown:
            allowed = ", ".join(_LOG_FILTERS)
            raise Problem(400, "bad_query", f"unknown: {', '.join(unknown)}; allowed: {allowed}")
        entries = fake.log.entries(**dict(request.query))
        return web.json_response({"entries": entries, "forgotten": fake.log.forgotten})

    async def reset(_: web.Request) -> web.Response:
        fake.reset()
        return web.Response(status=204)

    return [
        web.post("/_control/faults", script),
        web.get("/_control/faults", list_faults),
        web.delete("/_control/faults/{id}", delete_fault),
        web.get("/_control/log", read_log),
        web.post("/_control/reset", reset),
    ]
