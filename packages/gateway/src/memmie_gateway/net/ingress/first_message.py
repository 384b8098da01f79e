"""First-message auth: the token comes in the first frame, so the upgrade is accepted before it is known (spec §1).

This is one of the few places where a message is decoded; `websockets`' Sans-I/O protocol does it. It is given
one frame at a time, so that what the client sends behind its token stays as it is, for the splice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from memmie_gateway.core.websocket.frames import frame_length

MAX_FIRST_MESSAGE: Final = 16 * 1024
"""Bytes of the auth message."""

MAX_FRAMES: Final = 256
"""Frames up to the end of the auth message, its fragments and pings before it: each costs more than its bytes."""

_MAX_EARLY: Final = 64 * 1024

_LINGER_SECONDS: Final = 2.0
"""How long a refused client may take to read why."""


class FirstMessageError(Exception):
    """The first message is not the auth message; the words are for the client."""


class FirstMessageProtocol(asyncio.Protocol):
    """Waits for `{"type":"auth","data":{"token":"T"}}`.

    Args:
        transport: of a client whose upgrade was just answered.
        early: what it has sent already.
        on_lost: called when the client leaves.
    """

    def __init__(
        self, transport: asyncio.Transport, early: bytes, on_lost: Callable[[Exception | None], None]
    ) -> None:
        self._transport = transport
        self._on_lost = on_lost
        self._websocket = Protocol(Side.SERVER, state=OPEN, max_size=MAX_FIRST_MESSAGE)
        self._buffer = b""
        self._refused = False
        self._frames = 0
        self._parts: list[bytes] = []
        self._token: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport.set_protocol(self)
        self.data_received(early)

    async def token(self) -> str:
        """Wait for the token.

        Raises:
            FirstMessageError: something else came.
        """
        return await self._token

    def take_early(self) -> bytes:
        """Return what the client has sent behind the auth message."""
        return self._buffer

    def close(self, code: int, reason: str) -> None:
        """Send a Close frame and end the connection."""
        if self._websocket.state is OPEN:
            self._websocket.send_close(code, reason)
        self._refused = True
        self._flush()
        # Closing at once would reset the connection while the client still sends, and take the frame with it.
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take frames until the first message is complete, and no further."""
        if self._refused:
            return
        self._buffer += data
        while not self._token.done():
            length = frame_length(self._buffer)
            if length is None:
                return
            if length > MAX_FIRST_MESSAGE + 14:
                self._fail("the auth message is too big")
                return
            if len(self._buffer) < length:
                return
            self._frames += 1
            if self._frames > MAX_FRAMES:
                self._fail("too many frames before the auth message")
                return
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            self._websocket.receive_data(frame)
            self._flush()
            for event in self._websocket.events_received():
                if isinstance(event, Frame):
                    self._take(event)
            if self._websocket.parser_exc is not None:
                self._fail("this is not a WebSocket frame")
        if len(self._buffer) > _MAX_EARLY:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before it was let in."""
        self._on_lost(exc)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self._fail("closed before the auth message")
        if frame.opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            return
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            if sum(map(len, self._parts)) > MAX_FIRST_MESSAGE:
                self._fail("the auth message is too big")
            return
        token = read_auth_message(b"".join(self._parts))
        if token is None:
            self._fail('the first message must be {"type":"auth","data":{"token":"…"}}')
        elif not self._token.done():
            self._token.set_result(token)

    def _fail(self, words: str) -> None:
        if not self._token.done():
            self._token.set_exception(FirstMessageError(words))

    def _flush(self) -> None:
        for data in self._websocket.data_to_send():
            if data:
                self._transport.write(data)


def read_auth_message(message: bytes) -> str | None:
    """Return the token of an auth message, or None where it is not one."""
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("type") != "auth" or not isinstance(body.get("data"), dict):
        return None
    token = body["data"].get("token")
    return token if isinstance(token, str) and token else None
