"""Write slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.dripping import DrippingTransport
from memmie_fake_base.faults.fault import RequestFault, at_least
from memmie_fake_base.hijack import transport_of

if TYPE_CHECKING:
    from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip(RequestFault):
    """Write no faster than `bytes_per_second` from here on: this response, later ones, WebSocket frames."""

    name: ClassVar[str] = "drip"
    bytes_per_second: float

    def __post_init__(self) -> None:
        at_least("bytes_per_second", self.bytes_per_second, 1)

    async def strike(self, request: web.Request) -> None:
        """Put a slow transport between aiohttp and the socket."""
        request.protocol.transport = DrippingTransport(transport_of(request), self.bytes_per_second)
