"""A client that opens and closes WebSockets and does nothing else, on plain sockets and one epoll.

The client of `connection.py` takes two to three times as much CPU for a connect as nginx does. With it, a proxy on a core
of its own sleeps and wakes up one to four times for each connect, and its wake-ups count as a cost of connecting.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from loadtests.common.errors import LoadTestError

AT_ONCE: Final = 25
"""How many connections are opened together, and then closed together."""

HANDSHAKE_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 10.0

_READ_BYTES: Final = 4096

_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
_ACCEPT: Final = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The key of every handshake and what must answer it: the example of RFC 6455 §1.3."""

_RESET: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which a socket is reset when it is closed."""

_CLOSE: Final = b"\x88\x82\0\0\0\0\x03\xe8"
_ANSWER: Final = b"\x88\x02\x03\xe8"
"""A Close frame with 1000, masked as a client sends it (RFC 6455 §5.3), and the one that must answer it, unmasked."""

# Close codes (RFC 6455 §7.4): that of ours, the least that may be sent, and what stands for none.
_NORMAL: Final = 1000
_LEAST_CODE: Final = 1000
_NO_CODE: Final = 1005


def handshakes(url: str, headers: Iterable[Mapping[str, str]]) -> list[bytes]:
    """Return the request of each connection, with these headers (RFC 6455 §4.1)."""
    parts = urlsplit(url)
    lines = [
        f"GET {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
    ]
    return [
        "\r\n".join([*lines, *(f"{name}: {value}" for name, value in own.items()), "", ""]).encode()
        for own in headers
    ]


class Wave:
    """Connections that are opened together and then closed together; a LoadTestError, if one of them fails.

    A blocking `connect` does not wait for the gateway: on one machine, the kernel answers it at once.
    """

    def __init__(self, url: str, requests: Sequence[bytes], first: int) -> None:
        """Take the requests of the connections, the first of which is number `first` of the measurement."""
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._requests = requests
        self._first = first
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._numbers: dict[int, int] = {}  # of the connections, by descriptor

    def open(self) -> None:
        """Open all connections."""
        for number, request in enumerate(self._requests, self._first):
            made = socket.socket()
            descriptor = made.fileno()
            self._sockets[descriptor], self._numbers[descriptor] = made, number
            try:
                made.connect(self._address)
                made.send(request)
            except OSError as error:
                raise self._refused(descriptor, str(error)) from None
            self._poll.register(descriptor, select.EPOLLIN)
        heads = dict.fromkeys(self._sockets, b"")
        for descriptor in self._ready(heads, HANDSHAKE_SECONDS):
            data = self._received(descriptor)
            if descriptor not in heads:
                raise self._failed(descriptor, "was closed, or sent something, before its Close frame")
            if not data:
                raise self._refused(descriptor, "hung up without an answer")
            heads[descriptor] += data
            head, end, rest = heads[descriptor].partition(b"\r\n\r\n")
            if end:
                del heads[descriptor]
                if not head.startswith(b"HTTP/1.1 101 ") or _ACCEPT not in head or rest:
                    raise self._refused(descriptor, head.partition(b"\r\n")[0].decode(errors="replace"))
        for descriptor in heads:
            raise self._refused(descriptor, f"no answer in {HANDSHAKE_SECONDS:g} s")

    def close(self) -> None:
        """Close all connections with a handshake (RFC 6455 §7.1.2), which must be answered with the same code."""
        for descriptor, each in self._sockets.items():
            try:
                each.send(_CLOSE)
            except OSError:
                raise self._failed(descriptor, "broke before its Close frame") from None
        answers = dict.fromkeys(self._sockets, b"")
        for descriptor in self._ready(answers, CLOSE_SECONDS):
            if data := self._received(descriptor):
                answers[descriptor] += data
            else:  # the server hangs up (RFC 6455 §7.1.1)
                self._check(descriptor, answers.pop(descriptor))
                self._sockets.pop(descriptor).close()
        for descriptor, answer in answers.items():
            missing = "the server did not hang up" if answer else "no answer to its Close frame"
            raise self._failed(descriptor, f"{missing} in {CLOSE_SECONDS:g} s")
        self._poll.close()

    def reset(self) -> None:
        """Break all connections at once, as a failing network or load balancer does (RST)."""
        for each in self._sockets.values():
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            each.close()
        self._poll.close()

    def _check(self, descriptor: int, answer: bytes) -> None:
        """Raise a LoadTestError if a connection's Close frame was not answered with the same code."""
        if answer == _ANSWER:
            return
        if not answer:
            raise self._failed(descriptor, "its Close frame was not answered with one")
        if answer[0] != _ANSWER[0]:
            raise self._failed(descriptor, "what came back is not a Close frame")
        code = int.from_bytes(answer[2:4]) if len(answer) > len(b"\x88\0") else _NO_CODE
        if code < _LEAST_CODE:
            raise self._failed(descriptor, f"its Close frame got an invalid answer: code {code}")
        raise self._failed(descriptor, f"its Close frame with {_NORMAL} was answered with {code}")

    def _ready(self, awaited: Mapping[int, bytes], seconds: float) -> Iterator[int]:
        """Return connections that can be read, until none is awaited any more or the time is over."""
        deadline = time.monotonic() + seconds
        while awaited and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left):
                yield descriptor

    def _received(self, descriptor: int) -> bytes:
        """Return what a connection has received; b"" if it has ended or broken."""
        with contextlib.suppress(ConnectionError):
            return self._sockets[descriptor].recv(_READ_BYTES)
        return b""

    def _refused(self, descriptor: int, why: str) -> LoadTestError:
        return LoadTestError(f"connection {self._numbers[descriptor] + 1} failed: {why}")

    def _failed(self, descriptor: int, words: str) -> LoadTestError:
        return LoadTestError(f"connection {self._numbers[descriptor]}: {words}")
