"""Whether a server that does not say so is ready: it answers a WebSocket handshake in earnest."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import Final

RETRY_SECONDS: Final = 0.02

_ANSWERS: Final = (HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.UNAUTHORIZED)
"""Let in, or refused for want of a token. Some listen before they know their routes or backend, and answer otherwise."""


async def answering(port: int) -> int:
    """Wait until the server on this port of 127.0.0.1 answers a handshake; return the port."""
    while await status_of_a_handshake(port) not in _ANSWERS:  # noqa: ASYNC110 - only asking again tells
        await asyncio.sleep(RETRY_SECONDS)
    return port


async def status_of_a_handshake(port: int, token: str | None = None) -> int | None:
    """Return the HTTP status that a handshake for `/ws` gets, with this bearer token or none; None for no answer."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n"
    )
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request.encode())
            version, _, rest = (await reader.readline()).partition(b" ")
            return int(rest[:3]) if version.startswith(b"HTTP/") else None
        finally:
            writer.close()
    return None
