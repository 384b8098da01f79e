"""Take a connection out of aiohttp's hands, to write what no well-behaved server would."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import asyncio

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.web_request import BaseRequest


class Hijacked(web.StreamResponse):
    """Tells aiohttp that the answer, if any, is already on the wire: it writes nothing more."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 -- aiohttp's signature
        """Write no head."""
        self.force_close()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write no body."""


def transport_of(request: web.BaseRequest) -> asyncio.Transport:
    """Return the connection a request came on.

    Raises:
        ConnectionResetError: the client has gone in the meantime.
    """
    if request.transport is None:
        raise ConnectionResetError("the client has gone")
    return request.transport


def early_bytes(request: web.BaseRequest) -> bytes:
    """Return what came behind the head of an upgrade request, before anybody was there to read it."""
    return request.protocol._message_tail  # noqa: SLF001 -- aiohttp hands it to its own WebSocket only


def reset(transport: asyncio.Transport) -> None:
    """End a connection with RST: an abort after SO_LINGER 0 (`man 7 socket`) drops unsent bytes and says so."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
