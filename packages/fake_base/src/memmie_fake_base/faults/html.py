"""Answer as a proxy's error page would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aiohttp import web

from memmie_fake_base.faults.fault import RequestFault, http_status

_PAGE = (
    "<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>We will be back soon</h1></body></html>"
)

if TYPE_CHECKING:
    from aiohttp.web import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Html(RequestFault):
    """Answer `status` (200-599) with an HTML page, where JSON was expected."""

    name: ClassVar[str] = "html"
    status: int = 200

    def __post_init__(self) -> None:
        http_status(self.status)

    async def strike(self, request: Request) -> web.Response:  # noqa: ARG002 -- the same signature for all
        """Answer."""
        return web.Response(status=self.status, text=_PAGE, content_type="text/html")
