"""Reset the connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults.fault import RequestFault
from memmie_fake_base.hijack import Hijacked, reset, transport_of

if TYPE_CHECKING:
    from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(RequestFault):
    """Answer a request with a TCP RST."""

    name: ClassVar[str] = "reset"

    async def strike(self, request: web.Request) -> Hijacked:
        """Reset."""
        reset(transport_of(request))
        return Hijacked()
