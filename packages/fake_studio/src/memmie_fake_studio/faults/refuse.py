"""Refuse the upgrade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults import RequestFault, http_status
from memmie_fake_base.problems import Problem
from memmie_fake_studio.handshake import wants_websocket

if TYPE_CHECKING:
    from aiohttp import web


@dataclass(frozen=True, kw_only=True)
class Refuse(RequestFault):
    """Answer an upgrade with `status` (200-599; 200 is what a server that knows no WebSocket answers)."""

    name: ClassVar[str] = "refuse"
    status: int = 503

    def __post_init__(self) -> None:
        http_status(self.status)

    async def strike(self, request: web.Request) -> web.Response | None:
        """Refuse an upgrade; let anything else pass."""
        if not wants_websocket(request):
            return None
        return Problem(self.status, "refused", "the upgrade is refused (scripted fault)").response()
