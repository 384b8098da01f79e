"""The forwarded request: which header fields of the client pass, and which the gateway adds (spec §3).

This is the same for every kind of forwarded request. Parts for WebSocket handshakes only are in `websocket.handshake`.
The response of a backend that refuses the client is passed on by `passed_answer`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.headers import Fields, Headers, LineStarts
from memmie_gateway.core.http.query import equals, means_user_id, without
from memmie_gateway.core.http.response import Response

HOP_BY_HOP: Final = frozenset({
    b"connection",
    b"upgrade",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
})  # fmt: skip
"""Fields for one connection only (RFC 9110 §7.6.1)."""

NEVER: Final = HOP_BY_HOP | {
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
    # The URL of the request as another proxy received it, with the token and without the user.
    b"x-original-url",
    b"x-original-uri",
    b"x-rewrite-url",
    b"expect",
}
"""Fields that are never forwarded unchanged: the gateway rewrites or drops them."""

_FORWARDED: Final = b"x-forwarded-"  # the gateway also writes all fields with this prefix itself

_PLAIN: Final = re.compile(rb"[a-z0-9-]+")
"""Names of fields that no server reads as another name. Some convert `_`, and some `.`, to a dash."""

_USUAL: Final = (
    *(
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"cookie",
        b"pragma",
        b"user-agent",
    ),
    *(b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"tracestate"),
    *(b"sec-websocket-extensions", b"sec-websocket-key", b"sec-websocket-version"),
)
"""Fields that browsers and libraries send in a handshake."""

_NOTHING: Final[frozenset[Any]] = frozenset()

_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]+")  # the same when percent-encoded (RFC 3986 §2.3)

_SUSPICIOUS: Final = re.compile("user|[%+]", re.IGNORECASE)
"""Found in every query that has a field to drop, except a field that is the token as it is."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")  # RFC 3986 §3.1

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""A name or an address, and perhaps a port."""


class RequestLineStarts(LineStarts):
    """The start of each line of a forwarded request (see `LineStarts`).

    Args:
        dropped: names of fields that the caller writes itself. The fields of `NEVER`, further `X-Forwarded` fields and
            names with other characters than letters, digits and dashes are not forwarded either.
    """

    __slots__ = ()

    def __init__(self, dropped: frozenset[bytes]) -> None:
        super().__init__(_USUAL, NEVER | dropped)

    def __missing__(self, name: bytes) -> bytes:
        """Return the start for a name without an entry."""
        if name.startswith(_FORWARDED) or not _PLAIN.fullmatch(name):
            return b""
        return super().__missing__(name)


def target(path: str, query: str, user_id: str, credentials: Credentials) -> str:
    """Return the request target: path and query of the backend's URL, the user, and the client's query without secrets.

    Args:
        path: the path of the backend's URL.
        query: the query of the backend's URL, "" if it has none.
        user_id: the user; fields of the client's query that a server may read as `user_id` are dropped.
        credentials: the part of the client's query that may be forwarded; fields whose name or value is the token are
            dropped.
    """
    quoted_id = user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe="")
    target = f"{path}?{query}&user_id={quoted_id}" if query else f"{path}?user_id={quoted_id}"
    rest = credentials.query and clean_query(credentials)
    return f"{target}&{rest}" if rest else target


def clean_query(credentials: Credentials) -> str:
    """Return the client's query without the token, and without fields that a server may read as `user_id`."""
    rest, token = credentials.query, credentials.token or ""
    if _SUSPICIOUS.search(rest) or token in rest:
        return without(rest, lambda name, value: means_user_id(name) or _is(token, name, value))
    return rest


def _is(token: str, name: str, value: str) -> bool:
    """Tell whether the name or the value of a query field or a cookie is the token."""
    return equals(value.strip(" \t"), token) or equals(name.strip(" \t"), token)


def own_fields(arrival: Arrival, user_id: str) -> str:
    """Return the header lines that the gateway adds: the user, the client's address, protocol and host, and the ids."""
    client, headers = arrival.client, arrival.request.headers
    proto, host, further = "http", headers.one(b"host"), ""
    if client.trusted_peer:
        proto = _told(arrival, b"x-forwarded-proto", _SCHEME) or proto
        host = _told(arrival, b"x-forwarded-host", _HOST) or host
        if port := headers.one(b"x-forwarded-port"):
            further = f"X-Forwarded-Port: {port}\r\n"
        if prefix := headers.one(b"x-forwarded-prefix"):
            further += f"X-Forwarded-Prefix: {prefix}\r\n"
    return (
        f"X-User-ID: {user_header(user_id)}\r\n"
        f"X-Real-IP: {client.address}\r\n"
        f"X-Forwarded-For: {client.chain}\r\n"
        f"X-Forwarded-Proto: {proto}\r\n"
        f"X-Forwarded-Host: {host}\r\n"
        f"{further}"
        f"X-Request-ID: {arrival.id}\r\n"
        f"traceparent: {arrival.trace}"
    )


def _told(arrival: Arrival, name: bytes, valid: re.Pattern[str]) -> str:
    """Return what trusted proxies say about the client in a list such as X-Forwarded-Proto; "" if nothing valid.

    If every proxy has added an element to this list and to X-Forwarded-For, the element at the client's place is about
    the client. Otherwise only the right-most element is certainly that of a trusted proxy.
    """
    headers = arrival.request.headers
    elements = headers.elements(name)
    if not elements:
        return ""
    # The chain is the client, the proxies in X-Forwarded-For and the TCP peer, which is not in X-Forwarded-For.
    hops = arrival.client.chain.count(",")
    paired = hops and len(elements) == len(headers.elements(b"x-forwarded-for"))
    element = elements[-hops if paired else -1]
    return element if valid.fullmatch(element) else ""


def passed_fields(arrival: Arrival, credentials: Credentials, starts: RequestLineStarts) -> list[bytes]:
    """Return the client's header lines that are forwarded.

    Args:
        arrival: the request.
        credentials: the fields of the request without any token.
        starts: the starts of the lines, which say which fields are forwarded.
    """
    headers = arrival.request.headers
    fields = credentials.fields
    dropped = nominated(headers)
    if headers.get(b"tracestate") and arrival.trace.encode("ascii") not in headers.all(b"traceparent"):
        dropped |= {b"tracestate"}  # it belongs to the traceparent that was not kept (W3C Trace Context §3.3)
    if dropped:
        fields = tuple([field for field in fields if field[0] not in dropped])
    token = credentials.token
    if headers.get(b"cookie") or headers.get(b"referer"):
        fields = _without_secrets(fields, token)
    lines = [start + value for name, value in fields if (start := starts[name])]
    if token:
        secret = _secret(token)
        # Not `secret in`, which raises an error inside and is ten times as expensive (CPython 3.11).
        if b"\n".join(lines).find(secret) >= 0:
            return [
                line for line in lines if not _ends_with(line, secret)
            ]  # each start of a line ends with a space
    return lines


def without_copies(credentials: Credentials, token: str) -> Credentials:
    """Return what may be forwarded of a request of a connection that was opened with a token, without copies of this token.

    The request may have another token, or none.
    """
    secret = _secret(token)
    fields = _without_secrets(credentials.fields, token)
    return replace(
        credentials,
        fields=tuple([field for field in fields if not _ends_with(b" " + field[1], secret)]),
        query=clean_query(replace(credentials, token=token)),
    )


def _secret(token: str) -> bytes:
    return token.encode("latin-1", "replace")


def _ends_with(text: bytes, secret: bytes) -> bool:
    """Tell whether the last word of a text is a token."""
    return text.endswith((b" " + secret, b"\t" + secret))


def _without_secrets(fields: Fields, token: str | None) -> Fields:
    """Drop cookies that are the token, and the query of Referer, which may hold the token."""
    kept = []
    for name, value in fields:
        passed = value
        if name == b"referer":
            passed = value.partition(b"#")[0].partition(b"?")[0]
        elif name == b"cookie" and token:
            text = value.decode("latin-1")
            if token in text or "%" in text:
                passed = _other_cookies(text, token).encode("latin-1")
        if passed or not value:
            kept.append((name, passed))
    return tuple(kept)


def _other_cookies(text: str, token: str) -> str:
    kept = []
    for cookie in text.split(";"):
        name, _, value = cookie.partition("=")
        if not _is(token, name, value):
            kept.append(cookie)
    return ";".join(kept).lstrip(" \t")


@functools.lru_cache(maxsize=16)  # nearly all clients send one of a few names
def is_host(value: bytes) -> bool:
    """Tell whether a Host header has a name or an address, and perhaps a port (RFC 9110 §7.2)."""
    return _HOST.fullmatch(value.decode("latin-1")) is not None


def nominated(headers: Headers) -> frozenset[bytes]:
    """Return the names of the fields that the Connection header makes hop by hop (RFC 9110 §7.6.1).

    The fields of the WebSocket handshake are never returned, because they are end to end. Otherwise a client could make
    the handshake of its backend fail, and a backend that of its client.
    """
    values = headers.get(b"connection")
    if values is None or (len(values) == 1 and values[0].lower() == b"upgrade"):
        return _NOTHING  # the usual case; this field is rewritten anyway
    names = (option.lower().encode("latin-1") for option in headers.elements(b"connection"))
    return frozenset(name for name in names if not name.startswith(b"sec-websocket-"))


def user_header(user_id: str) -> str:
    """Return a user id in the form for a header: percent-encoded, except for visible ASCII characters.

    The percent sign is encoded, too, so that two users never have the same header.
    """
    return user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe=_VISIBLE)


_REFUSAL_REWRITTEN: Final = HOP_BY_HOP | {b"content-length", b"x-request-id", b"proxy-authenticate"}

_REFUSAL_STARTS: Final = LineStarts((), _REFUSAL_REWRITTEN)


def passed_answer(response: Response, request_id: str) -> bytes:
    """Build the complete HTTP response for a client that a backend has refused (spec §1).

    All header fields of the backend pass except those for one connection only. Caching is forbidden if the backend says
    nothing about it, because the refusal is for this client.

    Args:
        response: the response of the backend.
        request_id: the id of the request.
    """
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = ""
    dropped = nominated(response.headers)
    lines = [
        f"HTTP/1.1 {response.status} {phrase}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        "Connection: close\r\n"
        f"X-Request-ID: {request_id}".encode("latin-1")
    ]
    if not response.headers.all(b"cache-control"):
        lines.append(b"Cache-Control: no-store")
    lines += [
        start + value
        for name, value in response.headers.fields
        if (start := _REFUSAL_STARTS[name]) and name not in dropped
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + response.body
