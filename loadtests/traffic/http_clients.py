"""The client of `http`: connections with one request under way each, on plain sockets and one epoll.

A connection is used again unless the request or its answer says `Connection: close` (RFC 9112 §9.6). Each request has a path of its own, and the backend (`service.py`) answers with method, path and length of the body.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final, Self
from urllib.parse import urlsplit

from loadtests.common.errors import LoadTestError
from loadtests.traffic.service import answer_body

POST_BYTES: Final = 16 * 1024

_READ_BYTES: Final = 4096
_CLOSE: Final = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Client:
    """One connection after the other.

    Args:
        url: where requests go; each has a further part of the path.
        headers: the header fields of its requests.
        number: its number in the measurement.
        poll: where its connection is registered.
    """

    def __init__(self, url: str, headers: Mapping[str, str], number: int, poll: select.epoll) -> None:
        parts = urlsplit(url)
        self.number = number
        self._address = (parts.hostname or "", parts.port or 0)
        self._poll = poll
        self._path = parts.path
        self._fields = "".join(
            f"{name}: {value}\r\n" for name, value in {"Host": parts.netloc, **headers}.items()
        )
        self._sent = 0
        self._expected = b""
        self._received = b""
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        try:
            made = socket.create_connection(self._address)
        except OSError as error:
            raise LoadTestError(f"connection {self.number + 1} failed: {error}") from None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(made, select.EPOLLIN)
        return made

    def send(self, method: str, body: bytes, *, close: bool) -> int:
        """Send the next request; return the descriptor of the connection."""
        if self._socket is None:
            self._socket = self._connect()
        self._sent += 1
        path = f"{self._path}/{self.number}-{self._sent}"
        self._expected = answer_body(method.encode(), path.encode(), len(body))
        own = (f"Content-Length: {len(body)}\r\n" if body else "") + (
            "Connection: close\r\n" if close else ""
        )
        try:
            self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{self._fields}{own}\r\n".encode() + body)
        except OSError as error:
            raise self._failed(f"request {self._sent} was not sent: {error}") from None
        return self._socket.fileno()

    def receive(self) -> bool:
        """Read what has come, and return whether the answer is complete."""
        assert self._socket is not None  # noqa: S101 - it was polled
        try:
            data = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise self._failed(f"broke after request {self._sent}: {error}") from None
        received = self._received + data
        head, _, body = received.partition(b"\r\n\r\n")
        if body == self._expected and head.startswith(b"HTTP/1.1 200 "):
            self._received = b""
            if _CLOSE.search(head):
                self.close()
            return True
        if not data:
            raise self._failed(f"was closed after request {self._sent}")
        if body and not (head.startswith(b"HTTP/1.1 200 ") and self._expected.startswith(body)):
            status = head.partition(b"\r\n")[0].decode(errors="replace")
            raise self._failed(f"what came back for request {self._sent} is not its answer ({status})")
        self._received = received
        return False

    def _failed(self, words: str) -> LoadTestError:
        return LoadTestError(f"connection {self.number}: {words}")


class Clients:
    """All connections; a LoadTestError if one of them fails, or a request gets another answer than its own."""

    def __init__(self, url: str, headers: Sequence[Mapping[str, str]]) -> None:
        self._method = "GET"
        self._body = b""
        self._close = False
        self._poll = select.epoll()
        self._clients = [Client(url, fields, number, self._poll) for number, fields in enumerate(headers)]
        self._by_descriptor: dict[int, Client] = {}
        self._awaited = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self._poll.close()

    def begin(self, method: str, body_bytes: int = 0, *, close: bool = False) -> None:
        """Send a first request of each client; further ones are like it, with a connection for each if `close`."""
        self._method, self._body, self._close = method, b"b" * body_bytes, close
        for client in self._clients:
            self._send(client)
        self._awaited = len(self._clients)

    def run(self, seconds: float) -> int:
        """Send a request whenever one is answered; return how many were answered in this time."""
        return self._receive(seconds, going=True)

    def last_answers(self, patience: float) -> None:
        """Wait for the answers to all requests."""
        self._receive(patience, going=False)
        if self._awaited:
            raise LoadTestError(f"requests lost: {self._awaited}, without an answer within {patience:g} s")

    def _send(self, client: Client) -> None:
        self._by_descriptor[client.send(self._method, self._body, close=self._close)] = client

    def _receive(self, seconds: float, *, going: bool) -> int:
        answered = 0
        deadline = time.monotonic() + seconds
        while self._awaited and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left):
                client = self._by_descriptor[descriptor]
                if client.receive():
                    answered += 1
                    if going:
                        self._send(client)
                    else:
                        self._awaited -= 1
        return answered
