"""The client of `socketio`: it sends events in JSON, and knows their answers.

`EventClient` speaks Socket.IO (Engine.IO 4) over a WebSocket. `MessageClient` sends, over a plain WebSocket, what a backend
gets for such an event (spec §4), so that the two can be compared.
"""

from __future__ import annotations

import time
from typing import Final

from picows import WSFrame, WSMsgType, WSTransport

from loadtests.traffic.connection import Connection

SOCKETIO_PATH: Final = "/socket.io/"

# Packets of Engine.IO, and of Socket.IO in one of them.
_OPEN: Final = b"0{"
_PING: Final = b"2"
_PONG: Final = b"3"
_CONNECT: Final = b"40"
_CONNECTED: Final = b"40{"


class MessageClient(Connection):
    """Sends JSON messages, each when a message was answered: the longest idle connection is next.

    The answer to a message is the same message, whether it has an id or not.
    """

    message_type = WSMsgType.TEXT
    acknowledged = True
    """Whether the answer to an event is an acknowledgement; changed only while none is awaited."""

    def echoed(self, seconds: float) -> None:
        """Let the next connection send."""
        traffic = self._traffic
        traffic.latencies.append(seconds)
        if traffic.going:
            traffic.idle.append(self)
            traffic.idle.popleft().send(time.perf_counter())

    @property
    def name(self) -> str:
        """The name of its events."""
        return "ask" if self.acknowledged else "tell"

    def data(self, number: int) -> str:
        """Return the data of an event: an object of about `size` bytes."""
        begin = f'{{"from":{self.number},"number":{number},"tags":["load","event"],"text":"'
        return f'{begin}{"m" * (self.size - len(begin) - 2)}"}}'

    def message(self, number: int) -> bytes:
        """Return a message."""
        message_id = f'"id":"{self.number}.{number}",' if self.acknowledged else ""
        return f'{{{message_id}"type":"{self.name}","data":{self.data(number)}}}'.encode()


class EventClient(MessageClient):
    """Sends the same as events of Socket.IO."""

    def message(self, number: int) -> bytes:
        """Return the packet of an event."""
        return f'42{number if self.acknowledged else ""}["{self.name}",{self.data(number)}]'.encode()

    def is_echo(self, payload: bytes, number: int) -> bool:
        """Whether this is the same event, or the acknowledgement: the data, or the backend's message with it."""
        if not self.acknowledged:
            return payload == self.message(number)
        return payload.startswith(b"43%d[" % number) and self.data(number).encode() in payload

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Wait for the packets that connect the client."""
        super().on_ws_connected(transport)
        self._traffic.awaited += 1

    def _not_the_echo(self, frame: WSFrame) -> None:
        packet = frame.get_payload_as_bytes() if frame.msg_type == WSMsgType.TEXT else b""
        if packet == _PING:
            self._transport.send(WSMsgType.TEXT, _PONG)
        elif packet.startswith(_OPEN) and not self._sent:
            self._transport.send(WSMsgType.TEXT, _CONNECT)
        elif packet.startswith(_CONNECTED) and not self._sent:
            self._traffic.awaited -= 1
            if not self._traffic.awaited:
                self._traffic.quiet.set()
        else:
            super()._not_the_echo(frame)
