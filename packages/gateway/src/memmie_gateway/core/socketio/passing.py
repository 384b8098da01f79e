"""What the gateway reads of long-polling between a client and a Studio that speak Engine.IO with each other (revision 4).

Packets pass unchanged. Only where a connection begins and ends has the gateway to know what is said.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final, NamedTuple, TypeGuard

from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.socketio.handshake import Wish, forwardable

MAX_FIRST_PACKET: Final = 16 * 1024
"""Maximum size in bytes of the first packet of Studio; usually it has about 120."""

SEPARATOR: Final = b"\x1e"
"""Stands between two packets of one body."""

NOTHING: Final = b"6"
"""The packet that says nothing, with which a GET is answered at the end of a connection."""

_OPEN: Final = b"0"
_CLOSE: Final = b"1"

_SID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")

_MAX_TIME: Final = 86_400_000  # a day, in milliseconds


class Opened(NamedTuple):
    """The connection that Studio has opened.

    Attributes:
        sid: its id.
        silence: seconds without a request after which both sides know that it is lost.
    """

    sid: str
    silence: float

    def __repr__(self) -> str:
        """Leave out the sid, because it is a secret."""
        return f"Opened(silence={self.silence:g})"


def read_opened(body: bytes) -> Opened | None:
    """Read the first packet of Studio; return None if it opens no connection.

    Args:
        body: the beginning of the body of Studio's answer, with at least the first packet.
    """
    packet = body.partition(SEPARATOR)[0]
    if not packet.startswith(_OPEN) or len(packet) > MAX_FIRST_PACKET:
        return None
    try:
        about = json.loads(packet[1:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(about, dict):
        return None
    sid, interval, timeout = about.get("sid"), about.get("pingInterval"), about.get("pingTimeout")
    if not (isinstance(sid, str) and _SID.fullmatch(sid) and _is_time(interval) and _is_time(timeout)):
        return None
    return Opened(sid, (interval + timeout) / 1000)


def _is_time(value: object) -> TypeGuard[int]:
    """Tell whether a value is a time in milliseconds; `True` is an int in Python."""
    return type(value) is int and 0 < value <= _MAX_TIME


def is_plain(headers: Headers) -> bool:
    """Tell whether a body can be read as it is, because it has no encoding."""
    return all(value.lower() == b"identity" for value in headers.all(b"content-encoding"))


def passed(credentials: Credentials, wish: Wish) -> Credentials:
    """Return what of a request is sent to Studio: each field of Engine.IO once, as the gateway has read it.

    Otherwise Studio could read a query in another way than the gateway, and find another `sid` in it.

    Args:
        credentials: the parts of the request that may be forwarded.
        wish: what the request asks for; its `sid` is one that `read_opened` has accepted.
    """
    own = f"EIO=4&transport={wish.transport}{f'&sid={wish.sid}' if wish.sid else ''}"
    rest = forwardable(credentials).query
    return replace(credentials, query=f"{own}&{rest}" if rest else own)


def without_encodings(credentials: Credentials) -> Credentials:
    """Return what is sent to Studio if the gateway has to read the answer: nothing that asks for a compressed one."""
    fields = tuple(field for field in credentials.fields if field[0] != b"accept-encoding")
    return replace(credentials, fields=fields)


class Packets:
    """Counts the packets of a body that passes in parts, and knows whether the last one ends the connection.

    Attributes:
        count: number of packets that have begun.
    """

    __slots__ = ("_last", "count")

    def __init__(self) -> None:
        self._last = SEPARATOR
        self.count = 0

    def __repr__(self) -> str:
        return f"<Packets {self.count}>"

    def add(self, part: bytes) -> int:
        """Note the next part of the body; return the number of packets that begin in it."""
        begun = part.count(SEPARATOR) + (not self.count)
        self.count += begun
        self._last = (self._last + part)[-2:]
        return begun

    @property
    def closing(self) -> bool:
        """Whether the body so far ends with the packet that ends the connection."""
        return self._last == SEPARATOR + _CLOSE
