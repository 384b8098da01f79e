"""Heads of HTTP/1.1 requests and answers, and the opening handshake (RFC 6455 §4)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

KEY: Final = base64.b64encode(b"a client's nonce").decode()


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request or an answer, and its body if it has one."""

    first_line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    names: tuple[str, ...] = ()
    """The names of the fields in the case in which they came."""

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.first_line.split(" ")[1])

    @property
    def has_body(self) -> bool:
        """Whether the answer to a method other than HEAD has a body (RFC 9112 §6.3)."""
        return self.status >= 200 and self.status not in {204, 304}

    @property
    def target(self) -> str:
        """The target of a request."""
        return self.first_line.split(" ")[1]

    @property
    def raw(self) -> bytes:
        """The head and the body in the form in which they are sent, for evidence."""
        lines = [self.first_line, *(f"{name}: {value}" for name, value in self.fields)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def get(self, name: str) -> str:
        """Return the values of a field (lower case), joined by commas; "" if there is none."""
        return ", ".join(value for key, value in self.fields if key == name)


def parse_head(data: bytes, body: bytes = b"") -> Head:
    """Return the head with these bytes, which end with an empty line."""
    first_line, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = [(name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]
    fields = tuple((name.lower(), value) for name, value in pairs)
    return Head(first_line, fields, body, tuple(name for name, _ in pairs))


def accept_for(key: str) -> str:
    """Return the value of Sec-WebSocket-Accept for this key (RFC 6455 §4.2.2)."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


def upgrade_request(
    token: str | None = None, *, target: str = "/ws", without: Sequence[str] = (), extra: Iterable[str] = ()
) -> bytes:
    """Build a client's handshake.

    Args:
        token: sent in the field `Authorization`; None sends no such field.
        target: the path, and the query if there is one.
        without: names of fields (lower case) to leave out.
        extra: lines to add.
    """
    lines = [
        "Host: gateway.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([] if token is None else [f"Authorization: Bearer {token}"]),
    ]
    kept = [line for line in lines if line.partition(":")[0].lower() not in without]
    return "\r\n".join([f"GET {target} HTTP/1.1", *kept, *extra, "", ""]).encode("latin-1")


def accepting_answer(key: str, *fields: str) -> bytes:
    """Build a server's 101 for this key, with more header fields."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_for(key)}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
