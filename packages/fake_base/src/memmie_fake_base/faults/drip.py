"""The fault `drip`: write slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from memmie_fake_base.checks import at_least
from memmie_fake_base.faults.fault import RequestFault
from memmie_fake_base.hijack import transport_of
from memmie_fake_base.throttled import ThrottledTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip(RequestFault):
    """Limit all that is written on this connection from now on to `bytes_per_second`, WebSocket frames included."""

    name: ClassVar[str] = "drip"
    bytes_per_second: float

    def __post_init__(self) -> None:
        at_least("bytes_per_second", self.bytes_per_second, 1)

    async def strike(self, request: web.Request) -> None:
        """Put a throttled transport between aiohttp and the socket."""
        request.protocol.transport = ThrottledTransport(transport_of(request), self.bytes_per_second)
