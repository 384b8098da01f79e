"""One WebSocket on one TCP connection: frames in and out, back-pressure, deadlines (spec §4, RFC 6455)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN

from memmie_fake_base.hijack import reset

if TYPE_CHECKING:
    from memmie_fake_studio.handshake import StudioProtocol
    from memmie_fake_studio.settings import StudioSettings

Message = str | bytes


class Listener(Protocol):
    """Who is told what arrives on a wire."""

    def message_received(self, message: Message) -> None:
        """A whole message: text as `str`, binary as `bytes`."""

    def control_received(self, frame: Frame) -> None:
        """A ping, pong or close frame; the wire has dealt with it already."""

    def wire_lost(self) -> None:
        """The TCP connection is gone; nothing follows."""


class Wire(asyncio.Protocol):
    """Moves frames between the Sans-I/O protocol and the transport.

    What is sent in reply goes to the transport at once; while the transport is full, reading is paused instead, so
    a client that does not read its replies is not read either, and no reply is ever dropped. Events, which nobody
    asked for, wait in a queue of `queue_messages`; a client that lets it fill is disconnected.

    Attributes:
        cut_because: why Studio ended the connection without a close handshake; empty where it did not.
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
        self.cut_because = ""
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
        """Take the connection over from the HTTP protocol, send the handshake response, start pinging."""
        self._http = http
        self.transport.set_protocol(self)
        if not self.transport.is_reading():
            # The HTTP protocol stops reading behind an upgrade once its buffer is full.
            self.transport.resume_reading()
        self._flush()
        self._ping_later()
        self._expect_pong()

    # What arrives.

    def data_received(self, data: bytes) -> None:
        """Parse what was read and hand it on."""
        self.protocol.receive_data(data)
        self._dispatch()

    def eof_received(self) -> None:
        """The client writes no more; asyncio closes the transport once all is written."""
        self.protocol.receive_eof()
        self._dispatch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers, tell the listener, and the HTTP server that counts its connections."""
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

    # What is sent.

    def reply(self, message: Message) -> None:
        """Send a message now, however full the transport is: reading is paused until it has drained."""
        if self.protocol.state is not OPEN or self.transport.is_closing():
            return
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self._flush()

    def push(self, message: Message) -> None:
        """Send an event, or let it wait while the client is slow; cut a client that has let the queue fill."""
        if not self._writing_paused:
            self.reply(message)
        elif len(self._events) < self._settings.queue_messages:
            self._events.append(message)
        else:
            self.cut(f"queue of {self._settings.queue_messages} messages full")

    def close(self, code: int, reason: str) -> None:
        """Begin the close handshake, after the events that wait."""
        if self.protocol.state is not OPEN:
            return
        while self._events:
            self.reply(self._events.popleft())
        self.protocol.send_close(code, reason)
        self._flush()

    def cut(self, because: str) -> None:
        """End the connection at once, without a close frame."""
        self.cut_because = self.cut_because or because
        self.transport.abort()

    def drop(self, because: str, *, with_reset: bool) -> None:
        """End the connection without a close frame: with RST, or with FIN once all is written (faults)."""
        self.cut_because = self.cut_because or because
        if with_reset:
            # Not before the loop has written what is waiting (uvloop writes at the end of its turn).
            self._loop.call_soon(reset, self.transport)
        else:
            self.transport.close()

    def freeze(self) -> None:
        """Read nothing more, and miss no pong for it (a fault)."""
        self._frozen = True
        if self._pong_deadline is not None:
            self._pong_deadline.cancel()
        self.transport.pause_reading()

    def _flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                # SEND_EOF: the client reads our close frame to its end before the connection goes.
                self.transport.write_eof()
        if self._close_deadline is None and self.protocol.close_expected():
            self._close_deadline = self._cut_later(
                self._settings.close_timeout_seconds, "close handshake too slow"
            )

    # Back-pressure: asyncio calls these when the transport's buffer is full, and when it has drained.

    def pause_writing(self) -> None:
        """The client reads too slowly: read nothing from it until it has caught up."""
        self._writing_paused = True
        self._write_deadline = self._cut_later(self._settings.write_timeout_seconds, "write deadline")
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up: the events that waited go first."""
        self._writing_paused = False
        if self._write_deadline is not None:
            self._write_deadline.cancel()
        while self._events and not self._writing_paused:
            self.reply(self._events.popleft())
        if not self._writing_paused and not self._frozen and not self.transport.is_closing():
            self.transport.resume_reading()

    # Deadlines.

    def _cut_later(self, seconds: float, because: str) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, self.cut, because)

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
            self._pong_deadline = self._cut_later(self._settings.pong_timeout_seconds, "no pong")
