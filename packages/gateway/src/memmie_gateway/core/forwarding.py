"""What a backend is told of a request: which header fields pass, and which the gateway writes itself (spec §3).

It is the same for any request that is forwarded. What only a WebSocket handshake needs is in `websocket.handshake`.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from memmie_gateway.core.arrival import Arrival
from memmie_gateway.core.credentials import Credentials
from memmie_gateway.core.headers import Headers

NEVER: Final = frozenset({
    b"host",
    # Which pages may connect is decided here; a backend that compares this with its own Host would refuse them all.
    b"origin",
    # Secrets of the client, and what would let it speak for somebody else.
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
"""Fields that are rewritten, or not for the backend."""

_FORWARDED: Final = b"x-forwarded-"  # every name that begins so is the gateway's own, too

_NOTHING: Final[frozenset[Any]] = frozenset()

_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]+")  # the same when percent-encoded (RFC 3986 §2.3)


def target(path: str, query: str, user_id: str, credentials: Credentials) -> str:
    """Return the request target: the backend's own path and query, the user, and the client's query without secrets.

    Args:
        path: of the backend's URL.
        query: of the backend's URL, "" where it has none.
        user_id: the user; the client's own `user_id` fields are dropped.
        credentials: what may be forwarded of the client's query.
    """
    quoted_id = user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe="")
    rest = (
        urlencode([field for field in credentials.query if field[0] != "user_id"])
        if credentials.query
        else ""
    )
    return path + "?" + "&".join(filter(None, (query, f"user_id={quoted_id}", rest)))


def own_fields(arrival: Arrival, user_id: str) -> str:
    """Return the header lines in which the gateway says who the client is and how the request came here."""
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
    """Return the client's header lines that pass.

    Args:
        arrival: the request.
        credentials: its fields without any token.
        dropped: names of fields that do not pass: `NEVER` and what the caller writes itself.
    """
    headers = arrival.request.headers
    if named := nominated(headers):
        dropped |= named
    if headers.all(b"tracestate") and arrival.trace.encode("ascii") not in headers.all(b"traceparent"):
        dropped |= {b"tracestate"}  # it belongs to the traceparent that was not kept (W3C Trace Context §3.3)
    # A name with an underscore is dropped: a server that folds it into a dash would take it for another field.
    return [
        name + b": " + value
        for name, value in credentials.fields
        if name not in dropped and b"_" not in name and not name.startswith(_FORWARDED)
    ]


def nominated(headers: Headers) -> frozenset[bytes]:
    """Return the names of the fields that the Connection header makes hop by hop (RFC 9110 §7.6.1).

    The WebSocket handshake's own fields are not among them, whoever names them, because they are for the other end.
    A client that could have them dropped would make its backend fail, or a backend the client.
    """
    values = headers.all(b"connection")
    if len(values) == 1 and values[0].lower() == b"upgrade":
        return _NOTHING  # as nearly always; it is rewritten anyway
    names = (option.lower().encode("latin-1") for option in headers.elements(b"connection"))
    return frozenset(name for name in names if not name.startswith(b"sec-websocket-"))


def user_header(user_id: str) -> str:
    """Return a user id as it may stand in a header: percent-encoded except for visible ASCII.

    A percent sign is encoded, too, so that no two users have the same header.
    """
    return user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe=_VISIBLE)
