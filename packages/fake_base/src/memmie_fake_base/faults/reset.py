"""The fault `reset`: reset the connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from memmie_fake_base.faults.fault import RequestFault
from memmie_fake_base.hijack import Hijacked, reset, transport_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(RequestFault):
    """Answer with a TCP RST."""

    name: ClassVar[str] = "reset"

    async def strike(self, request: web.Request) -> Hijacked:
        """Reset the connection."""
        reset(transport_of(request))
        return Hijacked()
