"""The opening of Engine.IO connections: what a request asks for, and the answer (Engine.IO protocol, revision 4)."""

from __future__ import annotations

import enum
import json
from dataclasses import replace
from typing import Final, NamedTuple

from memmie_gateway.core.http import query
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.websocket.keepalive import Times

PATH: Final = "/socket.io/"

POLLING: Final = "polling"
WEBSOCKET: Final = "websocket"

DEFAULT_TIMES: Final = Times(interval=25, timeout=20)
"""The times if pings are switched off, because a client of Engine.IO cannot do without; in seconds."""

_OF_ENGINE_IO: Final = frozenset({"EIO", "transport", "t", "sid", "j", "b64"})


class Problem(enum.Enum):
    """An error of the protocol: its code and its message."""

    UNKNOWN_TRANSPORT = (0, "Transport unknown")
    UNKNOWN_SID = (1, "Session ID unknown")
    BAD_METHOD = (2, "Bad handshake method")
    BAD_REQUEST = (3, "Bad request")
    WRONG_VERSION = (5, "Unsupported protocol version")

    @property
    def message(self) -> str:
        """The message."""
        return self.value[1]

    def body(self) -> bytes:
        """Return the body of the answer."""
        code, message = self.value
        return json.dumps({"code": code, "message": message}).encode()


class Wish(NamedTuple):
    """What a request asks for.

    Attributes:
        transport: `polling` or `websocket`.
        sid: the connection that it belongs to, "" for a new one.
    """

    transport: str
    sid: str

    def __repr__(self) -> str:
        """Leave out the sid, because it is a secret."""
        return f"Wish({self.transport}, {'known' if self.sid else 'new'})"


def read_wish(text: str, *, polling: bool) -> Wish | Problem:
    """Read the query of a request.

    Args:
        text: the query, not decoded.
        polling: whether polling is allowed.
    """
    fields: dict[str, str] = {}
    for name, value in query.fields(text):
        if name in _OF_ENGINE_IO and fields.setdefault(name, value) != value:
            return Problem.BAD_REQUEST  # two values of one field
    transport = fields.get("transport", "")
    if transport not in (POLLING, WEBSOCKET) or (transport == POLLING and not polling):
        return Problem.UNKNOWN_TRANSPORT
    if fields.get("EIO") != "4":
        return Problem.WRONG_VERSION
    if "j" in fields or fields.get("b64"):
        return Problem.BAD_REQUEST  # JSONP, and a format of older versions
    return Wish(transport, fields.get("sid", ""))


def forwardable(credentials: Credentials) -> Credentials:
    """Return what of a request may be sent to a backend: nothing of Engine.IO."""
    rest = query.without(credentials.query, lambda name, _: query.decode(name) in _OF_ENGINE_IO)
    return replace(credentials, query=rest, subprotocols=())


def open_packet(sid: str, times: Times, max_payload: int, *, upgrades: bool) -> str:
    """Return the first packet to a client.

    Args:
        sid: the id of the connection.
        times: when the client is pinged, and how long its library waits for a ping after that.
        max_payload: maximum size of one HTTP body, or of one WebSocket message, in bytes.
        upgrades: whether the client may upgrade to WebSocket.
    """
    about = {
        "sid": sid,
        "upgrades": [WEBSOCKET] if upgrades else [],
        "pingInterval": round(times.interval * 1000),
        "pingTimeout": round(times.timeout * 1000),
        "maxPayload": max_payload,
    }
    return f"0{json.dumps(about, separators=(',', ':'))}"


def times_for(times: Times) -> Times:
    """Return the times of the heartbeat for the times of keepalive."""
    return times if times.interval else DEFAULT_TIMES
