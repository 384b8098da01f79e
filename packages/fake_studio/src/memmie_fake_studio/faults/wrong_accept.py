"""Prove that the handshake was not understood."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults import RequestFault
from memmie_fake_base.hijack import Hijacked, transport_of
from memmie_fake_studio.handshake import wants_websocket

if TYPE_CHECKING:
    from aiohttp import web

_WRONG = base64.b64encode(b"this is not yours").decode()


@dataclass(frozen=True, kw_only=True)
class WrongAccept(RequestFault):
    """Answer an upgrade 101 with a wrong `Sec-WebSocket-Accept` (RFC 6455 §4.1: the client must fail), then wait."""

    name: ClassVar[str] = "wrong_accept"

    async def strike(self, request: web.Request) -> Hijacked | None:
        """Answer an upgrade; let anything else pass."""
        if not wants_websocket(request):
            return None
        transport_of(request).write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + _WRONG.encode() + b"\r\n\r\n"
        )
        # Ends by cancellation, when the client leaves or Studio stops.
        await asyncio.Event().wait()
        return Hijacked()
