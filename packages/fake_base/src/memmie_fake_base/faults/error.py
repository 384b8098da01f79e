"""Answer with an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aiohttp import web

from memmie_fake_base.faults.fault import RequestFault, http_status

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(RequestFault):
    """Answer `status` (200-599) with `body` and, where it is not 0, `Retry-After: retry_after` seconds."""

    name: ClassVar[str] = "error"
    status: int = 500
    body: str = '{"error": "scripted fault", "code": "scripted"}'
    content_type: str = "application/json"
    retry_after: int = 0

    def __post_init__(self) -> None:
        http_status(self.status)

    async def strike(self, request: web.Request) -> web.Response:  # noqa: ARG002 -- the same signature for all
        """Answer."""
        headers: Mapping[str, str] = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        return web.Response(
            status=self.status, text=self.body, content_type=self.content_type, headers=headers
        )
