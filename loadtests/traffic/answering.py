"""The backend of the connects, a process of its own: `python -m loadtests.traffic.answering`.

It answers handshakes, pings and Close frames on any path, so it passes for a healthy Studio (spec §3), and knows no
messages. It is cheap for the same reason as `handshakes.py`. It prints its port as one line of JSON and ends on SIGTERM.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import select
import socket
from typing import Final

BACKLOG: Final = 4096  # connections that may wait to be accepted

_READ_BYTES: Final = 4096
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_KEY: Final = b"\r\nsec-websocket-key:"
_HEAD: Final = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"

# The first byte of a frame that is a whole message, and the length of the head of a masked one (RFC 6455 §5.2).
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A
_MASKED_HEAD_BYTES: Final = 6


def accepted(head: bytes) -> bytes:
    """Return the answer to the head of a handshake (RFC 6455 §4.2.2)."""
    start = head.lower().index(_KEY) + len(_KEY)
    key = head[start : head.index(b"\r\n", start)].strip()
    return _HEAD % base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def answered(frame: bytes) -> bytes:
    """Return the answer to a masked ping or Close frame; b"" for any other frame."""
    kind = {_CLOSE: _CLOSE, _PING: _PONG}.get(frame[0])
    if kind is None:
        return b""
    mask, masked = frame[2:_MASKED_HEAD_BYTES], frame[_MASKED_HEAD_BYTES:]
    payload = bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(masked))
    return bytes((kind, len(payload))) + payload


def is_pong(answer: bytes) -> bool:
    """Whether the connection goes on after this answer."""
    return answer[:1] == bytes((_PONG,))


class Backend:
    """The listener and its connections."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._listener.settimeout(0)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)
        self._sockets: dict[int, socket.socket] = {}
        self._heads: dict[int, bytes] = {}  # as far as they have come, of the connections without an answer

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Serve for ever."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._read(descriptor)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                made, _ = self._listener.accept()
                descriptor = made.fileno()
                self._sockets[descriptor], self._heads[descriptor] = made, b""
                self._poll.register(descriptor, select.EPOLLIN)

    def _read(self, descriptor: int) -> None:
        made = self._sockets[descriptor]
        try:
            data = made.recv(_READ_BYTES)
            if not data:
                self._end(descriptor)
            elif descriptor not in self._heads:
                answer = answered(data)
                made.send(answer)
                if not is_pong(answer):
                    self._end(descriptor)
            elif (head := self._heads.pop(descriptor) + data).endswith(b"\r\n\r\n"):
                made.send(accepted(head))
            else:
                self._heads[descriptor] = head
        except OSError:
            self._end(descriptor)

    def _end(self, descriptor: int) -> None:
        self._heads.pop(descriptor, None)
        self._sockets.pop(descriptor).close()


def main() -> None:
    """Listen, say where, and serve until a signal ends the process."""
    backend = Backend()
    print(json.dumps({"event": "listening", "port": backend.port}), flush=True)
    backend.serve()


if __name__ == "__main__":
    main()
