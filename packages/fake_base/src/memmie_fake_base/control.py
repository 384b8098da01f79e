"""The control routes `/_control/…`, for tests that run in another process. Faults never strike them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from aiohttp import web

from memmie_fake_base.bodies import optional, read_object, required
from memmie_fake_base.faults import Fault, ScriptedFault
from memmie_fake_base.log import EventLog
from memmie_fake_base.problems import Problem

_PREFIX: Final = "/_control/"
"""Where the path of every control route begins."""

_LOG_FILTERS: Final = ("kind", "path", "connection", "user_id")
"""Query parameters of `GET /_control/log`."""

_SELECTORS: Final = ("fault", "route", "user_id", "connection", "times")
"""Fields of `POST /_control/faults` that are not parameters of the fault itself."""


class Controllable(Protocol):
    """The part of a fake that the control routes use; `FakeServer` describes each member."""

    @property
    def log(self) -> EventLog:
        """The log of what was received."""

    @property
    def catalogue(self) -> Mapping[str, type[Fault]]:
        """The faults that can be scripted, by name."""

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The scripted faults as JSON."""

    def script(
        self,
        fault: str | Fault,
        *,
        route: str = "*",
        user_id: str | None = None,
        connection: str | None = None,
        times: int | None = None,
        **parameters: Any,
    ) -> ScriptedFault:
        """Script a fault."""

    def unscript(self, fault_id: str) -> bool:
        """Remove a scripted fault; return whether it was there."""

    def reset(self) -> None:
        """Clear the faults, the log and the stores."""


def is_control(request: web.BaseRequest) -> bool:
    """Tell whether a request is for a control route, which is neither logged nor struck by faults."""
    return request.path.startswith(_PREFIX)


def routes(fake: Controllable) -> list[web.AbstractRouteDef]:
    """Return the control routes that both fakes have."""

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
            raise Problem(
                400, "bad_query", f"unknown query parameter {', '.join(unknown)}; allowed: {allowed}"
            )
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
