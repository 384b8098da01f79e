"""The backend of `http`, a process of its own: `python -m loadtests.traffic.service`.

It answers each HTTP request with its method, its path and the length of its body. It also answers handshakes, pings and
Close frames of WebSockets, so it passes for a healthy Studio (spec §3). It prints its port as one line of JSON and ends on
SIGTERM.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, cast

import uvloop

from loadtests.common.listening import listen_until_signalled
from loadtests.traffic.answering import BACKLOG, accepted, answered, is_pong

ANSWER_BYTES: Final = 200  # of the body of an answer

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_HEAD: Final = b"HTTP/1.1 200 OK\r\n%bContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"


def answer_body(method: bytes, path: bytes, body_bytes: int) -> bytes:
    """Return the body of the answer to a request."""
    return (b"%b %b %d " % (method, path, body_bytes)).ljust(ANSWER_BYTES, b".")


class Service(asyncio.Protocol):
    """One connection. The body of a request needs a `Content-Length`, and requests come one after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = b""
        self._head = b""  # of the request of which the body is not complete
        self._is_websocket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer with."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        if self._is_websocket:
            answer = answered(data)
            self._transport.write(answer)
            if not is_pong(answer):
                self._transport.close()
            return
        self._received += data
        if not self._head:
            self._head, end, self._received = self._received.partition(b"\r\n\r\n")
            if not end:
                self._head, self._received = b"", self._head
                return
            if _UPGRADE.search(self._head):
                self._is_websocket = True
                self._transport.write(accepted(self._head + end))
                return
        found = _LENGTH.search(self._head)
        if found and len(self._received) < int(found[1]):
            return
        method, path, _ = self._head.split(b" ", 2)
        body = answer_body(method, path, len(self._received))
        closing = _CLOSE.search(self._head)
        self._transport.write(_HEAD % (b"Connection: close\r\n" if closing else b"", len(body), body))
        self._head = self._received = b""
        if closing:
            self._transport.close()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", 0, backlog=BACKLOG)
    await listen_until_signalled(server.sockets[0].getsockname()[1])
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
