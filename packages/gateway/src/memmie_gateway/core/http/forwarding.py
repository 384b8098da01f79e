"""The forwarded request: which header fields of the client pass, and which the gateway adds (spec §3).

This is the same for every kind of forwarded request. Parts for WebSocket handshakes only are in `websocket.handshake`.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.headers import Headers

NEVER: Final = frozenset({
    b"host",
    # The gateway decides which pages may connect. A backend that compares Origin with its own Host would refuse all.
    b"origin",
    # Secrets of the client, and fields with which it could impersonate another user or client.
    b"authorization",
    b"proxy-authorization",
    b"x-user-id",
    b"x-real-ip",
    b"forwarded",
    b"x-request-id",
    b"traceparent",
    # Hop by hop (RFC 9110 §7.6.1).
    b"connection",
    b"upgrade",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"expect",
})  # fmt: skip
"""Fields that are never forwarded unchanged: the gateway rewrites or drops them."""

_FORWARDED: Final = b"x-forwarded-"  # the gateway also writes all fields with this prefix itself

_NOTHING: Final[frozenset[Any]] = frozenset()

_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]+")  # the same when percent-encoded (RFC 3986 §2.3)


def target(path: str, query: str, user_id: str, credentials: Credentials) -> str:
    """Return the request target: path and query of the backend's URL, the user, and the client's query without tokens.

    Args:
        path: the path of the backend's URL.
        query: the query of the backend's URL, "" if it has none.
        user_id: the user; `user_id` fields of the client's query are dropped.
        credentials: the part of the client's query that may be forwarded.
    """
    quoted_id = user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe="")
    rest = (
        urlencode([field for field in credentials.query if field[0] != "user_id"])
        if credentials.query
        else ""
    )
    return path + "?" + "&".join(filter(None, (query, f"user_id={quoted_id}", rest)))


def own_fields(arrival: Arrival, user_id: str) -> str:
    """Return the header lines that the gateway adds: the user, the client's address, protocol and host, and the ids."""
    client, headers = arrival.client, arrival.request.headers
    proto, host = "http", headers.one(b"host")
    if client.trusted_peer:
        proto = (headers.elements(b"x-forwarded-proto") or [proto])[-1]
        host = (headers.elements(b"x-forwarded-host") or [host])[-1]
    return (
        f"x-user-id: {user_header(user_id)}\r\n"
        f"x-forwarded-for: {client.chain}\r\n"
        f"x-forwarded-proto: {proto}\r\n"
        f"x-forwarded-host: {host}\r\n"
        f"x-request-id: {arrival.id}\r\n"
        f"traceparent: {arrival.trace}"
    )


def passed_fields(arrival: Arrival, credentials: Credentials, dropped: frozenset[bytes]) -> list[bytes]:
    """Return the client's header lines that are forwarded.

    Args:
        arrival: the request.
        credentials: the fields of the request without any token.
        dropped: names of fields that are not forwarded: `NEVER`, and the fields that the caller writes itself.
    """
    headers = arrival.request.headers
    if named := nominated(headers):
        dropped |= named
    if headers.all(b"tracestate") and arrival.trace.encode("ascii") not in headers.all(b"traceparent"):
        dropped |= {b"tracestate"}  # it belongs to the traceparent that was not kept (W3C Trace Context §3.3)
    # A name with an underscore is dropped, because some servers convert it to a dash, which is another field.
    return [
        name + b": " + value
        for name, value in credentials.fields
        if name not in dropped and b"_" not in name and not name.startswith(_FORWARDED)
    ]


def nominated(headers: Headers) -> frozenset[bytes]:
    """Return the names of the fields that the Connection header makes hop by hop (RFC 9110 §7.6.1).

    The fields of the WebSocket handshake are never returned, because they are end to end. Otherwise a client could make
    the handshake of its backend fail, and a backend that of its client.
    """
    values = headers.all(b"connection")
    if len(values) == 1 and values[0].lower() == b"upgrade":
        return _NOTHING  # the usual case; this field is rewritten anyway
    names = (option.lower().encode("latin-1") for option in headers.elements(b"connection"))
    return frozenset(name for name in names if not name.startswith(b"sec-websocket-"))


def user_header(user_id: str) -> str:
    """Return a user id in the form for a header: percent-encoded, except for visible ASCII characters.

    The percent sign is encoded, too, so that two users never have the same header.
    """
    return user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe=_VISIBLE)
