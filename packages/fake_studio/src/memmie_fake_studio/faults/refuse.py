"""The fault `refuse`: refuse the upgrade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from memmie_fake_base.checks import http_status
from memmie_fake_base.faults import RequestFault
from memmie_fake_base.problems import Problem
from memmie_fake_studio.handshake import wants_websocket


@dataclass(frozen=True, kw_only=True)
class Refuse(RequestFault):
    """Answer an upgrade with `status` (200-599); a server that does not speak WebSocket answers with 200."""

    name: ClassVar[str] = "refuse"
    status: int = 503

    def __post_init__(self) -> None:
        http_status(self.status)

    async def strike(self, request: web.Request) -> web.Response | None:
        """Refuse an upgrade; let any other request continue."""
        if not wants_websocket(request):
            return None
        return Problem(self.status, "refused", "the upgrade is refused (scripted fault)").response()
