"""Answer with bytes that are no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults.fault import RequestFault, at_least
from memmie_fake_base.hijack import Hijacked, transport_of

if TYPE_CHECKING:
    from aiohttp import web

# No byte of it can begin a status line, and it holds bytes no text encoding would produce.
_NOISE = bytes(range(255, 127, -1)) + b"\x00\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage(RequestFault):
    """Write `size` bytes of noise instead of a response, then close."""

    name: ClassVar[str] = "garbage"
    size: int = 512

    def __post_init__(self) -> None:
        at_least("size", self.size, 1)

    async def strike(self, request: web.Request) -> Hijacked:
        """Write noise."""
        transport = transport_of(request)
        transport.write((_NOISE * (self.size // len(_NOISE) + 1))[: self.size])
        transport.close()
        return Hijacked()
