"""The fault `html`: answer with a page such as a proxy's error page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from aiohttp import web

from memmie_fake_base.checks import http_status
from memmie_fake_base.faults.fault import RequestFault

_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>We will be back soon</h1></body></html>"
)
"""The page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Html(RequestFault):
    """Answer with `status` (200-599) and an HTML page where the client expects JSON."""

    name: ClassVar[str] = "html"
    status: int = 200

    def __post_init__(self) -> None:
        http_status(self.status)

    async def strike(self, request: web.Request) -> web.Response:  # noqa: ARG002 - the same signature for all
        """Return the page."""
        return web.Response(status=self.status, text=_PAGE, content_type="text/html")
