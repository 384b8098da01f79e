"""The fault `garbage`: answer with bytes that are not HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from aiohttp import web

from memmie_fake_base.checks import at_least
from memmie_fake_base.faults.fault import RequestFault
from memmie_fake_base.hijack import Hijacked, transport_of

_NOISE: Final = bytes(range(255, 127, -1)) + b"\x00\r\n"
"""Bytes that cannot begin a status line and are not text in any encoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage(RequestFault):
    """Write `size` bytes of noise instead of a response, then close the connection."""

    name: ClassVar[str] = "garbage"
    size: int = 512

    def __post_init__(self) -> None:
        at_least("size", self.size, 1)

    async def strike(self, request: web.Request) -> Hijacked:
        """Write the noise and close."""
        transport = transport_of(request)
        transport.write((_NOISE * (self.size // len(_NOISE) + 1))[: self.size])
        transport.close()
        return Hijacked()
