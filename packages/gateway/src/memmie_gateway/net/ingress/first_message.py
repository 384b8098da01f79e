"""First-message auth: reads the token from the first message, after the gateway has answered the handshake (spec §1).

This is one of the few places where the gateway decodes a message, with the Sans-I/O protocol of `websockets`. It gets one
frame at a time, so that all bytes after the auth message stay unchanged for the session.
"""

from __future__ import annotations

import asyncio
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from memmie_gateway.core.http.credentials import read_auth_message
from memmie_gateway.core.websocket.frames import frame_length
from memmie_gateway.net.handover import MAX_EARLY, Handover

MAX_FIRST_MESSAGE: Final = 16 * 1024
"""Maximum size of the auth message in bytes."""

MAX_FRAMES: Final = 256
"""Maximum number of frames up to the end of the auth message, including fragments and pings."""


class FirstMessageError(Exception):
    """The first message is not an auth message; the text is for the client."""


class FirstMessageReader(asyncio.Protocol):
    """Waits for `{"type":"auth","data":{"token":"T"}}`, and then gives the connection back.

    Args:
        handover: the client's connection, directly after the answer to the handshake.
    """

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._websocket = Protocol(Side.SERVER, state=OPEN, max_size=MAX_FIRST_MESSAGE)
        self._buffer = b""
        self._frames = 0
        self._parts: list[bytes] = []
        self._token: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.data_received(handover.lend(self))

    def __repr__(self) -> str:
        return f"<FirstMessageReader frames={self._frames}>"

    @property
    def closing(self) -> bool:
        """Whether a Close frame was sent, as an answer to the client's Close or to an invalid frame."""
        return self._websocket.state is not OPEN

    async def token(self) -> str:
        """Return the token when it arrives; the bytes after the auth message are given back with the connection.

        Raises:
            FirstMessageError: the first message is not an auth message.
        """
        token = await self._token
        self._handover.give_back(self._buffer)
        return token

    def data_received(self, data: bytes) -> None:
        """Process frames until the first message is complete."""
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
            for answer in self._websocket.data_to_send():
                if answer:
                    self._handover.transport.write(answer)
            for event in self._websocket.events_received():
                if isinstance(event, Frame):
                    self._take(event)
            if self._websocket.parser_exc is not None:
                self._fail("this is not a WebSocket frame")
        if len(self._buffer) > MAX_EARLY:
            self._handover.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection was lost before the client was admitted."""
        self._handover.connection_lost(exc)

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
