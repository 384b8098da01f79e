"""One WebSocket on one TCP connection: frames, back-pressure and time-outs (spec §4, RFC 6455)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN

from memmie_fake_base.hijack import reset
from memmie_fake_studio.handshake import StudioProtocol
from memmie_fake_studio.settings import StudioSettings

Message = str | bytes
"""A text message as `str`, a binary one as `bytes`."""


class Listener(Protocol):
    """Receives what arrives on a wire."""

    def message_received(self, message: Message) -> None:
        """Called with a complete message: text as `str`, binary as `bytes`."""

    def control_received(self, frame: Frame) -> None:
        """Called with a ping, pong or Close frame, after the wire has handled it."""

    def wire_lost(self) -> None:
        """Called last, when the TCP connection is lost."""


class Wire(asyncio.Protocol):
    """Passes frames between the Sans-I/O protocol and the transport.

    Replies are written to the transport at once. While the transport's buffer is full, reading is paused, so that a
    client that does not read its replies cannot cause more of them, and no reply is dropped. Meanwhile events wait
    in a queue of `queue_messages`; a client that lets the queue fill up is disconnected.

    Args:
        protocol: the WebSocket protocol, after the handshake was accepted.
        transport: the TCP connection.
        settings: the fake Studio's settings.
        listener: receives what arrives.

    Attributes:
        protocol: the WebSocket protocol.
        transport: the TCP connection.
        abort_reason: why Studio ended the connection without a closing handshake; empty if it did not.
    """

    def __init__(
        self,
        protocol: StudioProtocol,
        transport: asyncio.Transport,
        settings: StudioSettings,
        listener: Listener,
    ) -> None:
        self.protocol = protocol
        self.transport = transport
        self.abort_reason = ""
        self._settings = settings
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._http: asyncio.Protocol | None = None
        self._events: deque[Message] = deque()
        self._fragments: list[bytes] = []
        self._fragments_opcode = Opcode.TEXT
        self._writing_paused = False
        self._frozen = False
        self._ping_timer: asyncio.TimerHandle | None = None
        self._pong_deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._close_deadline: asyncio.TimerHandle | None = None

    def open(self, http: asyncio.Protocol) -> None:
        """Take the connection over from the HTTP protocol, send the handshake's response and start keepalive."""
        self._http = http
        self.transport.set_protocol(self)
        if not self.transport.is_reading():
            # The HTTP protocol pauses reading if many bytes arrive after an upgrade request.
            self.transport.resume_reading()
        self._flush()
        self._ping_later()
        self._expect_pong()

    # Receiving.

    def data_received(self, data: bytes) -> None:
        """Parse the bytes and pass on what they contain."""
        self.protocol.receive_data(data)
        self._dispatch()

    def eof_received(self) -> None:
        """Note that the client sends nothing more; asyncio closes the transport when everything is written."""
        self.protocol.receive_eof()
        self._dispatch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers; notify the listener and the HTTP server, which counts its connections."""
        for timer in (self._ping_timer, self._pong_deadline, self._write_deadline, self._close_deadline):
            if timer is not None:
                timer.cancel()
        self._events.clear()
        self._listener.wire_lost()
        if self._http is not None:
            self._http.connection_lost(exc)

    def _dispatch(self) -> None:
        for event in self.protocol.events_received():
            if isinstance(event, Frame):
                self._frame_received(event)
        self._flush()

    def _frame_received(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is not Opcode.CONT:
                self._fragments_opcode = frame.opcode
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                data = b"".join(self._fragments)
                self._fragments.clear()
                self._message_received(data)
            return
        if frame.opcode is Opcode.PONG:
            self._expect_pong()
        self._listener.control_received(frame)

    def _message_received(self, data: bytes) -> None:
        if self._fragments_opcode is Opcode.BINARY:
            self._listener.message_received(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            # RFC 6455 §8.1
            self.protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
            return
        self._listener.message_received(text)

    # Sending.

    def reply(self, message: Message) -> None:
        """Send a message now, even if the transport's buffer is full."""
        if self.protocol.state is not OPEN or self.transport.is_closing():
            return
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self._flush()

    def push(self, message: Message) -> None:
        """Send an event, or queue it while the client is slow; abort the connection if the queue is full."""
        if not self._writing_paused:
            self.reply(message)
        elif len(self._events) < self._settings.queue_messages:
            self._events.append(message)
        else:
            self.abort(f"the queue of {self._settings.queue_messages} messages is full")

    def close(self, code: int, reason: str) -> None:
        """Send the events that wait, then begin the closing handshake."""
        if self.protocol.state is not OPEN:
            return
        while self._events:
            self.reply(self._events.popleft())
        self.protocol.send_close(code, reason)
        self._flush()

    def abort(self, reason: str) -> None:
        """End the connection at once, without a Close frame."""
        self.abort_reason = self.abort_reason or reason
        self.transport.abort()

    def drop(self, reason: str, *, with_reset: bool) -> None:
        """End the connection without a Close frame, for a fault: with RST, or with FIN after everything is written."""
        self.abort_reason = self.abort_reason or reason
        if with_reset:
            # Later, because uvloop writes what is waiting at the end of this iteration.
            self._loop.call_soon(reset, self.transport)
        else:
            self.transport.close()

    def freeze(self) -> None:
        """Stop reading for good, for a fault; pongs are no longer expected."""
        self._frozen = True
        if self._pong_deadline is not None:
            self._pong_deadline.cancel()
        self.transport.pause_reading()

    def _flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                # The protocol asks for an EOF (SEND_EOF): a half-close lets the client read our Close frame first.
                self.transport.write_eof()
        if self._close_deadline is None and self.protocol.close_expected():
            self._close_deadline = self._abort_later(
                self._settings.close_timeout_seconds, "the closing handshake took too long"
            )

    # Back-pressure. asyncio calls the first when the transport's buffer is full, the second when it has drained.

    def pause_writing(self) -> None:
        """Pause reading, because the client reads too slowly."""
        self._writing_paused = True
        self._write_deadline = self._abort_later(
            self._settings.write_timeout_seconds, "the client read too slowly"
        )
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Send the events that waited and resume reading, because the client has caught up."""
        self._writing_paused = False
        if self._write_deadline is not None:
            self._write_deadline.cancel()
        while self._events and not self._writing_paused:
            self.reply(self._events.popleft())
        if not self._writing_paused and not self._frozen and not self.transport.is_closing():
            self.transport.resume_reading()

    # Time-outs.

    def _abort_later(self, seconds: float, reason: str) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, self.abort, reason)

    def _ping_later(self) -> None:
        if self._settings.ping_interval_seconds:
            self._ping_timer = self._loop.call_later(self._settings.ping_interval_seconds, self._ping)

    def _ping(self) -> None:
        if self.protocol.state is OPEN:
            self.protocol.send_ping(b"")
            self._flush()
            self._ping_later()

    def _expect_pong(self) -> None:
        if self._pong_deadline is not None:
            self._pong_deadline.cancel()
        if self._settings.pong_timeout_seconds:
            self._pong_deadline = self._abort_later(
                self._settings.pong_timeout_seconds, "no pong came in time"
            )
