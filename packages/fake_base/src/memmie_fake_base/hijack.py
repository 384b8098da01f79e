"""Taking a connection over from aiohttp, to write what aiohttp would not."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest


class Hijacked(web.StreamResponse):
    """A response that writes nothing, because the handler has written to the transport itself."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - aiohttp's signature
        """Write no head, and close the connection afterwards."""
        self.force_close()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write no body."""


def transport_of(request: web.BaseRequest) -> asyncio.Transport:
    """Return the transport of a request's connection.

    Raises:
        ConnectionResetError: the client has disconnected in the meantime.
    """
    if request.transport is None:
        raise ConnectionResetError("the client has disconnected")
    return request.transport


def early_bytes(request: web.BaseRequest) -> bytes:
    """Return the bytes that arrived after the head of an upgrade request and were not read yet."""
    return request.protocol._message_tail  # noqa: SLF001 - aiohttp hands it to its own WebSocket only


def reset(transport: asyncio.Transport) -> None:
    """End a connection with RST: closing a socket with SO_LINGER 0 (`man 7 socket`) drops unsent bytes and sends one."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
