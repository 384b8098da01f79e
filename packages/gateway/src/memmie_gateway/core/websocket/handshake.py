"""The opening handshake: is it one, what goes to Studio, is Studio's answer one, what goes back (RFC 6455 §4).

The request to Studio is the client's own head with some fields rewritten, and Studio's 101 is relayed, so the
key, the subprotocol and the extensions are negotiated end to end.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from memmie_gateway.core.credentials import Credentials
from memmie_gateway.core.headers import Headers
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.request import Request
from memmie_gateway.core.response import Response
from memmie_gateway.core.websocket.frames import ANY_RESERVED, RSV1

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3

_REWRITTEN: Final = frozenset({
    b"host",
    b"connection",
    b"upgrade",
    b"sec-websocket-protocol",
    # Which pages may connect is decided here; a Studio that compares this with its own Host would refuse them all.
    b"origin",
    # Secrets of the client's, and what would let it speak for somebody else.
    b"authorization",
    b"proxy-authorization",
    b"x-user-id",
    b"x-real-ip",
    b"forwarded",
    b"x-request-id",
    b"traceparent",
    # Hop by hop, or about a body that a handshake does not have (RFC 9110 §7.6.1).
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"content-length",
    b"expect",
})  # fmt: skip

_ANSWER_REWRITTEN: Final = frozenset({
    b"connection",
    b"upgrade",
    b"sec-websocket-protocol",
    b"x-request-id",
    b"keep-alive",
    b"content-length",
    b"transfer-encoding",
})  # fmt: skip

_NOTHING: Final[frozenset[Any]] = frozenset()

_FORWARDED: Final = b"x-forwarded-"  # all names that begin so are the gateway's own, too

_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")

_UNRESERVED: Final = re.compile(
    r"[A-Za-z0-9._~-]+"
)  # what is the same when it is percent-encoded (RFC 3986 §2.3)

_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT: Final = re.compile(  # W3C Trace Context §3.2: neither version ff nor an id of zeros alone
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def is_upgrade(request: Request) -> bool:
    """Tell whether the client asks for a WebSocket at all."""
    return request.headers.has(b"upgrade", b"websocket")


def check_upgrade(request: Request) -> tuple[Cause, str] | None:
    """Return what is wrong with a client's handshake, or None (RFC 6455 §4.2.1)."""
    headers = request.headers
    keys = headers.all(b"sec-websocket-key")
    problem = ""
    if request.method != "GET":
        problem = "a WebSocket handshake is a GET"
    elif request.version != "1.1":
        problem = "a WebSocket handshake needs HTTP/1.1"
    elif len(headers.all(b"host")) != 1:
        problem = "exactly one Host header is needed"
    elif not headers.has(b"connection", b"upgrade"):
        problem = "the Connection header must name upgrade"
    elif headers.all(b"sec-websocket-version") != (b"13",):
        return Cause.WRONG_VERSION, Cause.WRONG_VERSION.ending.words
    elif len(keys) != 1 or not _is_key(keys[0]):
        problem = "Sec-WebSocket-Key must be 16 bytes in base64"
    elif headers.all(b"transfer-encoding") or headers.all(b"content-length") not in ((), (b"0",)):
        problem = "a WebSocket handshake has no body"
    return (Cause.BAD_HANDSHAKE, problem) if problem else None


def _is_key(value: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(value, strict_mode=True)) == 16
    except binascii.Error:
        return False


def accept_for(key: bytes) -> bytes:
    """Return the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455 §4.2.2)."""
    return binascii.b2a_base64(hashlib.sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)


def origin_allowed(request: Request, allowed: tuple[str, ...]) -> bool:
    """Tell whether a page of this origin may connect (RFC 6455 §10.2).

    Args:
        request: a client that is not a browser sends no Origin, and passes.
        allowed: origins such as `https://app.example.com`, `https://*.example.com` for any subdomain, or `*`.
    """
    origins = request.headers.all(b"origin")
    if not origins or "*" in allowed:
        return True
    origin = origins[0].decode("latin-1").lower()
    for pattern in allowed:
        scheme, _, host = pattern.lower().partition("://")
        if origin == pattern.lower():
            return True
        if host.startswith("*.") and origin.startswith(f"{scheme}://") and origin.endswith(host[1:]):
            return True
    return False


def user_header(user_id: str) -> str:
    """Return a user id as it may stand in a header: percent-encoded but for visible ASCII.

    A percent sign is encoded, too, so that no two users have one header.
    """
    return user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe=_VISIBLE)


class Forwarded(NamedTuple):
    """How the request reached the gateway: what Studio is told in `X-Forwarded-*` (spec §3)."""

    chain: str
    proto: str
    host: str


def request_id(request: Request, bits: int) -> str:
    """Return the client's own X-Request-ID where it is usable, else one made of 128 random `bits`."""
    for value in request.headers.all(b"x-request-id"):
        if _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return f"{bits:032x}"


def traceparent(request: Request, bits: int) -> str:
    """Return the client's own traceparent where it is valid, else a new one made of 192 random `bits`."""
    for value in request.headers.all(b"traceparent"):
        if _TRACEPARENT.fullmatch(value):
            return value.decode("ascii")
    trace, span = divmod(bits, 1 << 64)
    return f"00-{trace or 1:032x}-{span or 1:016x}-01"


def upstream_head(
    request: Request,
    *,
    host: str,
    path: str,
    query: str,
    user_id: str,
    forwarded: Forwarded,
    correlation: tuple[str, str],
    subprotocols: tuple[str, ...],
    key: bytes | None = None,
) -> bytes:
    """Build the handshake for Studio from the client's (spec §3).

    Args:
        request: the client's.
        host: Studio's host and port.
        path: the path of Studio's URL.
        query: the query of Studio's URL, "" where it has none.
        user_id: whose connection this is.
        forwarded: for the X-Forwarded headers.
        correlation: request id and traceparent.
        subprotocols: what Studio may choose from.
        key: the gateway's own key, where the client's upgrade was already answered; extensions are then not
            offered, as the client's are settled.
    """
    rest = request.query_without("token", "user_id")
    quoted_id = user_id if _UNRESERVED.fullmatch(user_id) else quote(user_id, safe="")
    target = path + "?" + "&".join(filter(None, (query, f"user_id={quoted_id}", rest)))
    dropped = _REWRITTEN | _nominated(request.headers)
    if correlation[1].encode("ascii") not in request.headers.all(b"traceparent"):
        dropped |= {b"tracestate"}  # it belongs to the traceparent that was not kept (W3C Trace Context §3.3)
    if key is not None:
        dropped |= {b"sec-websocket-key", b"sec-websocket-extensions"}
    lines = [
        f"GET {target} HTTP/1.1",
        f"host: {host}",
        "connection: Upgrade",
        "upgrade: websocket",
        f"x-user-id: {user_header(user_id)}",
        f"x-forwarded-for: {forwarded.chain}",
        f"x-forwarded-proto: {forwarded.proto}",
        f"x-forwarded-host: {forwarded.host}",
        f"x-request-id: {correlation[0]}",
        f"traceparent: {correlation[1]}",
    ]
    if subprotocols:
        lines.append(f"sec-websocket-protocol: {', '.join(subprotocols)}")
    parts = ["\r\n".join(lines).encode("latin-1")]
    # A name with an underscore is dropped: behind servers that fold it into a dash it would pass for another.
    parts += [
        name + b": " + value
        for name, value in request.headers.fields
        if name not in dropped and b"_" not in name and not name.startswith(_FORWARDED)
    ]
    if key is not None:
        parts.append(b"sec-websocket-key: " + key)
    return b"\r\n".join(parts) + b"\r\n\r\n"


def _nominated(headers: Headers) -> frozenset[bytes]:
    """Return the names of the headers that the Connection header makes hop by hop (RFC 9110 §7.6.1).

    The handshake's own are not among them, whoever names them: they are for the other end. A client that could have
    them dropped would make its Studio fail, or a Studio the client.
    """
    values = headers.all(b"connection")
    if len(values) == 1 and values[0].lower() == b"upgrade":
        return _NOTHING  # as nearly always; it is rewritten anyway
    names = (option.lower().encode("latin-1") for option in headers.elements(b"connection"))
    return frozenset(name for name in names if not name.startswith(b"sec-websocket-"))


class Answer(NamedTuple):
    """Studio's answer to a handshake.

    Attributes:
        status: the HTTP status.
        headers: all fields.
        body: of an answer that is not a 101, as far as it was read.
    """

    status: int
    headers: Headers
    body: bytes = b""


def extension_names(headers: Headers) -> frozenset[str]:
    """Return the names in Sec-WebSocket-Extensions headers, without their parameters (RFC 6455 §9.1)."""
    offered = headers.elements(b"sec-websocket-extensions")
    return frozenset(name.partition(";")[0].strip().lower() for name in offered) if offered else _NOTHING


class Offer(NamedTuple):
    """What a handshake with Studio offered, against which its answer is checked.

    Attributes:
        key: the Sec-WebSocket-Key.
        subprotocols: what Studio may choose one of.
        extensions: the names it may choose from.
    """

    key: bytes
    subprotocols: tuple[str, ...] = ()
    extensions: frozenset[str] = frozenset()


def check_answer(answer: Answer, offer: Offer) -> str:
    """Return what is wrong with a Studio's 101, or "" (RFC 6455 §4.1, the client's duties)."""
    headers = answer.headers
    if headers.one(b"upgrade").lower() != "websocket":
        return "its Upgrade header does not say websocket"
    if not headers.has(b"connection", b"upgrade"):
        return "its Connection header does not name upgrade"
    if headers.all(b"sec-websocket-accept") != (accept_for(offer.key),):
        return "its Sec-WebSocket-Accept does not fit the key"
    selected = headers.one(b"sec-websocket-protocol")
    if selected and selected not in offer.subprotocols:
        return "it selected a subprotocol that was not offered"
    if not extension_names(headers) <= offer.extensions:
        return "it accepted an extension that was not offered"
    return ""


def reserved_bits(answer: Answer | Response) -> int:
    """Return which RSV bits the extensions that Studio accepted may use.

    permessage-deflate uses RSV1 (RFC 7692); of an extension that is not known here, any bit is believed.
    """
    names = extension_names(answer.headers)
    if not names:
        return 0
    return RSV1 if names == {"permessage-deflate"} else ANY_RESERVED


def client_answer(answer: Answer, credentials: Credentials, request_id: str) -> bytes:
    """Build the 101 for the client from Studio's."""
    selected = answer.headers.one(b"sec-websocket-protocol") or credentials.bearer
    dropped = _ANSWER_REWRITTEN | _nominated(answer.headers)
    lines = [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade"]
    if selected:
        lines.append(b"sec-websocket-protocol: " + selected.encode("latin-1"))
    lines.append(b"x-request-id: " + request_id.encode("ascii"))
    lines += [name + b": " + value for name, value in answer.headers.fields if name not in dropped]
    return b"\r\n".join(lines) + b"\r\n\r\n"
