"""The fault `wrong_accept`: answer the handshake with a wrong proof."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import ClassVar, Final

from aiohttp import web

from memmie_fake_base.faults import RequestFault
from memmie_fake_base.hijack import Hijacked, transport_of
from memmie_fake_studio.handshake import wants_websocket

_WRONG: Final = base64.b64encode(b"this is not yours")
"""A value that no `Sec-WebSocket-Key` leads to."""


@dataclass(frozen=True, kw_only=True)
class WrongAccept(RequestFault):
    """Answer an upgrade with 101 and a wrong `Sec-WebSocket-Accept`, which the client must refuse (RFC 6455 §4.1)."""

    name: ClassVar[str] = "wrong_accept"

    async def strike(self, request: web.Request) -> Hijacked | None:
        """Answer an upgrade, then wait; let any other request continue."""
        if not wants_websocket(request):
            return None
        transport_of(request).write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + _WRONG + b"\r\n\r\n"
        )
        # The handler is cancelled when the client leaves or Studio stops.
        await asyncio.Event().wait()
        return Hijacked()
