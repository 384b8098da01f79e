"""Engine.IO over a WebSocket: each packet is one message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket.control_frames import CLOSE, PING, PONG, close_payload, control_frame
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.core.websocket.messages import BINARY, TEXT, MessageReader, message_frame
from memmie_gateway.core.websocket.violations import cause_of_violation
from memmie_gateway.net.handover import MAX_EARLY, Handover, finish_writing
from memmie_gateway.net.socketio.carrier import MOST_AT_ONCE, CarrierOwner, Packet

_CLIENT, _ = Side  # looking up a member of an Enum is a function call (CPython 3.11)

_PAUSED: Final = 1  # by the owner
_FULL: Final = 2  # pongs and answers are not read, so no more of them are made
_BUSY: Final = 4  # what was read is not processed yet


class WebSocketCarrier(asyncio.Protocol):
    """Carries packets over the WebSocket of a client, after the answer to its handshake.

    Args:
        handover: the client's connection.
        max_message_bytes: maximum size of a message.

    Attributes:
        owner: the client; set before the first byte is read.
        transport: the TCP connection.
    """

    __slots__ = (
        "_broken",
        "_given_back",
        "_handover",
        "_holds",
        "_limit",
        "_owned",
        "_problem",
        "_reader",
        "_scanner",
        "_told",
        "owner",
        "transport",
    )

    def __init__(self, handover: Handover, max_message_bytes: int) -> None:
        self.owner: CarrierOwner
        self._owned = True
        self.transport: asyncio.Transport = handover.transport
        self._handover: Handover | None = handover  # until the session begins
        self._scanner = FrameScanner(masked=True, max_message_bytes=max_message_bytes)
        self._reader = MessageReader(masked=True)
        self._holds = 0
        self._limit = MAX_EARLY
        self._told = False  # a Close frame was sent
        self._broken = False
        self._problem = ""  # of the message behind those that were processed
        self._given_back: Sequence[Packet | None] = ()

    def __repr__(self) -> str:
        return f"<WebSocketCarrier {self._scanner!r}>"

    def begin(self) -> None:
        """Read from the client, whose connection still counts as pending."""
        assert self._handover is not None  # noqa: S101 - before `taken`
        self.data_received(self._handover.lend(self))
        self.transport.resume_reading()  # it is paused if there were many early bytes

    # Called by the loop.

    def data_received(self, data: bytes) -> None:
        """Read messages."""
        if not self._broken:
            self._process(self._scanner.scan(data))

    def _process(self, data: bytes) -> None:
        """Process a limited number of messages now, and the rest later."""
        packets: list[Packet | None] = []
        messages = [] if self._problem else self._reader.feed(data, MOST_AT_ONCE)
        for opcode, payload in messages:
            if opcode == TEXT:
                try:
                    packets.append(payload.decode())
                except UnicodeDecodeError:
                    self._problem = "text that is not UTF-8"
                    break
            elif opcode == BINARY:
                packets.append(payload)
            else:
                packets.append(None)
                if opcode == PING:
                    self._answer(payload)
        if packets:
            self.owner.heard(packets)
        if not self._owned:
            return  # the owner has left
        if self._reader.inside_message:
            self.owner.still_sending()
        over = self._problem or self._scanner.ended
        if len(messages) == MOST_AT_ONCE or (over and self._holds & _PAUSED):
            self._go_on_later()
        elif self._problem:
            self._break(Cause.CLIENT_VIOLATION, f"{Cause.CLIENT_VIOLATION.ending.words}: {self._problem}")
        elif self._scanner.ended:
            self._end()

    def _end(self) -> None:
        """Process what has ended the stream, after all messages before it."""
        if (close := self._scanner.take_close()) is not None:
            self.owner.closed(close.code, close.reason)
        elif (violation := self._scanner.take_violation()) is not None:
            self._break(*cause_of_violation(_CLIENT, violation))

    def _go_on_later(self) -> None:
        self._hold(_BUSY)
        if not self._holds & _PAUSED:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """Process the next messages of those that were read, unless the owner is paused or has left."""
        if self._holds & _BUSY and not self._holds & _PAUSED and self._owned:
            self._release(_BUSY)
            if self._given_back:
                packets, self._given_back = self._given_back, ()
                self.owner.heard(packets)
                self._go_on_later()
            elif not self._broken:
                self._process(b"")

    def pause_writing(self) -> None:
        """Too many bytes wait."""
        self.owner.full()

    def resume_writing(self) -> None:
        """The client has taken some of them."""
        self._release(_FULL)
        self.owner.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        handover, self._handover = self._handover, None
        if handover is not None:
            handover.connection_lost(exc)
        self.owner.lost(exc)

    def _answer(self, ping: bytes) -> None:
        if self.transport.is_closing() or self._told:
            return
        self.transport.write(control_frame(PONG, ping, key=None))
        self._hold_if_full()

    def _hold_if_full(self) -> None:
        if self.transport.get_write_buffer_size() > self._limit:
            self._hold(_FULL)

    def _break(self, cause: Cause, words: str) -> None:
        self._broken = True
        self.owner.broke(cause, words)

    def _hold(self, why: int) -> None:
        if not self._holds and not self.transport.is_closing():
            self.transport.pause_reading()
        self._holds |= why

    def _release(self, why: int) -> None:
        if self._holds & why:
            self._holds &= ~why
            if not self._holds and not self.transport.is_closing():
                self.transport.resume_reading()

    # Called by the client (see `Carrier`).

    def send(self, packets: Sequence[Packet]) -> None:
        """Send packets, one message each."""
        if self._told or self.transport.is_closing():
            return
        frames = [
            message_frame(TEXT, packet.encode(), None)
            if isinstance(packet, str)
            else message_frame(BINARY, packet, None)
            for packet in packets
        ]
        self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def answer(self, packet: Packet) -> None:
        """Send the answer to a packet; if too many bytes wait, nothing is heard until the client has taken some."""
        self.send([packet])
        if not self.transport.is_closing():
            self._hold_if_full()

    def waiting(self) -> int:
        """Return the number of bytes that wait in this process."""
        return self.transport.get_write_buffer_size()

    def set_limit(self, high: int) -> None:
        """Set the number of bytes that may wait."""
        self._limit = high
        self.transport.set_write_buffer_limits(high)

    def taken(self) -> None:
        """The session has begun."""
        handover, self._handover = self._handover, None
        if handover is not None:
            handover.take(self)

    def pause(self) -> None:
        """Read nothing until `resume`."""
        self._hold(_PAUSED)

    def resume(self) -> None:
        """Read again."""
        self._release(_PAUSED)
        if self._holds & _BUSY:
            asyncio.get_running_loop().call_soon(self._go_on)

    def give_back(self, packets: Sequence[Packet | None]) -> None:
        """Let the next owner hear packets that this one has not processed."""
        self._given_back = packets
        self._go_on_later()

    def finish(self, code: int, reason: str) -> None:
        """Send a Close frame."""
        if not self._told and not self.transport.is_closing():
            self._told = True
            self.transport.write(control_frame(CLOSE, close_payload(code, reason), key=None))
            if self._broken:
                finish_writing(self.transport)  # its Close frame could not be recognised any more

    def is_closing(self) -> bool:
        """Tell whether the connection is closed, or is being closed."""
        return self.transport.is_closing()

    def close(self) -> None:
        """Close the connection after all bytes are sent."""
        self.transport.close()

    def linger(self) -> None:
        """End the connection, but let the client read what was sent."""
        handover, self._handover = self._handover, None
        (handover or Handover(self.transport)).end(b"", linger=True)

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def leave(self) -> None:
        """Break the reference cycle with the owner, after the connection has ended."""
        self._owned = False
        del self.owner
