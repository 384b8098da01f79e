"""A good WebSocket handshake to start from, and a strict reader of heads: for every test of what is forwarded."""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.client_address import Client
from memmie_gateway.core.http.request import Request

KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
TRACE: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"  # W3C Trace Context §3.2

Values = dict[bytes, tuple[bytes, ...]]
"""Header values by name."""

GOOD: Final[Values] = {
    b"host": (b"gateway:8000",),
    b"upgrade": (b"websocket",),
    b"connection": (b"Upgrade",),
    b"sec-websocket-version": (b"13",),
    b"sec-websocket-key": (KEY,),
}

CLIENT: Final = Client("192.0.2.1", "192.0.2.1, 10.0.0.1", trusted_peer=False)

FORGED: Final = (
    b"x-user-id", b"x_user_id", b"x-user_id", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host",
    b"x-forwarded-port", b"x-forwarded-user", b"x-forwarded-prefix", b"x_forwarded_for", b"x-real-ip", b"forwarded",
    b"x-original-url", b"x-original-uri", b"x-rewrite-url", b"x-forwarded-uri",
    b"x-request-id", b"traceparent", b"authorization", b"proxy-authorization", b"transfer-encoding",
    b"content-length", b"te", b"trailer", b"expect", b"keep-alive", b"proxy-connection", b"host",
)  # fmt: skip
"""Fields that must not reach a backend as the client sent them."""

USER_ID: Final = (
    "user_id", "user%5Fid", "user%5fid", "%75ser_id", "%75%73%65%72%5F%69%64", "USER_ID", "User_Id", "%55ser_Id",
    "user%255Fid", "%2575ser_id", "%u0075ser_id", "user%u005Fid",
    "user_id+", "+user_id", "user_id%20", "%09user_id", "%0Auser_id%0D", "user_id%00", "user_id%00x", "%00user_id",
    "user_id[]", "user_id%5B%5D", "user_id[0]", "user_id%5b0", "user_id[a][b]", "user_id[",
    "user.id", "user+id", "user%20id", "user%2Eid", "user[id", "user%5Bid",
)  # fmt: skip
"""Spellings of `user_id`: with a server of some language, each of them sets it."""


def request(
    changes: Values | None = None, *, method: bytes = b"GET", target: bytes = b"/ws", version: str = "1.1"
) -> Request:
    """Make a good handshake with some headers set otherwise; () leaves one out."""
    headers = tuple((name, value) for name, values in {**GOOD, **(changes or {})}.items() for value in values)
    return Request.parse(method, target, version, headers)


def arrival(asked: Request, *, client: Client = CLIENT, trace: str = TRACE) -> Arrival:
    """Let a request arrive under known ids."""
    return Arrival(asked, client, "id-1", trace)


def read_head(raw: bytes) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Read a head as strictly as any server would; return its first line and its fields."""
    assert raw.endswith(b"\r\n\r\n")
    first, *lines = raw[:-4].split(b"\r\n")
    assert all(lines)  # no second head behind the first
    return first.decode("ascii"), read_fields(lines)


def read_fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Split header lines into names (lower case) and values."""
    return [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
