"""The fault `error`: answer with an error status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from memmie_fake_base.checks import http_status
from memmie_fake_base.faults.fault import RequestFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(RequestFault):
    """Answer with `status` (200-599), `body` and `Retry-After: retry_after` in seconds (0 sends no such header)."""

    name: ClassVar[str] = "error"
    status: int = 500
    body: str = '{"error": "scripted fault", "code": "scripted"}'
    content_type: str = "application/json"
    retry_after: int = 0

    def __post_init__(self) -> None:
        http_status(self.status)

    async def strike(self, request: web.Request) -> web.Response:  # noqa: ARG002 - the same signature for all
        """Return the error."""
        headers: Mapping[str, str] = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        return web.Response(
            status=self.status, text=self.body, content_type=self.content_type, headers=headers
        )
