"""The opening handshakes with the client and the backend (RFC 6455 §4).

The request to the backend is the client's request with some fields rewritten, and the backend's 101 is passed on to the
client. So the key, the subprotocol and the extensions are negotiated end to end.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from memmie_gateway.core.http import forwarding
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.websocket.frames import ANY_RESERVED, RSV1

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3

_REWRITTEN: Final = frozenset({b"sec-websocket-protocol", b"content-length"})
_STARTS: Final = forwarding.RequestLineStarts(_REWRITTEN)
_STARTS_WITH_KEY: Final = forwarding.RequestLineStarts(
    _REWRITTEN | {b"sec-websocket-key", b"sec-websocket-extensions"}
)

_NOTHING: Final[frozenset[Any]] = frozenset()


def is_upgrade(request: Request) -> bool:
    """Tell whether a request asks for an upgrade to WebSocket."""
    return request.headers.has(b"upgrade", b"websocket")


def check_upgrade(request: Request) -> tuple[Cause, str] | None:
    """Return the cause and the problem if a client's handshake is invalid, otherwise None (RFC 6455 §4.2.1)."""
    headers = request.headers
    get = headers.get
    keys = get(b"sec-websocket-key")
    hosts = get(b"host")
    problem = ""
    if request.method != "GET":
        problem = "a WebSocket handshake is a GET"
    elif request.version != "1.1":
        problem = "a WebSocket handshake needs HTTP/1.1"
    elif hosts is None or len(hosts) != 1:
        problem = "exactly one Host header is needed"
    elif not forwarding.is_host(hosts[0]):
        problem = "the Host header must be a name or an address, and perhaps a port"
    elif not headers.has(b"connection", b"upgrade"):
        problem = "the Connection header must name upgrade"
    elif get(b"sec-websocket-version") != (b"13",):
        return Cause.WRONG_VERSION, Cause.WRONG_VERSION.ending.words
    elif keys is None or len(keys) != 1 or not _is_key(keys[0]):
        problem = "Sec-WebSocket-Key must be 16 bytes in base64"
    elif get(b"transfer-encoding") or get(b"content-length") not in (None, (b"0",)):
        problem = "a WebSocket handshake has no body"
    return (Cause.BAD_HANDSHAKE, problem) if problem else None


def _is_key(value: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(value, strict_mode=True)) == 16
    except binascii.Error:
        return False


def accept_for(key: bytes) -> bytes:
    """Return the Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 §4.2.2)."""
    return binascii.b2a_base64(hashlib.sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)


def upstream_head(
    arrival: Arrival,
    credentials: Credentials,
    user_id: str,
    *,
    host: str,
    path: str,
    query: str,
    key: bytes | None = None,
) -> bytes:
    """Build the handshake for a backend from the client's (spec §3).

    Args:
        arrival: the client's request.
        credentials: the parts of the request that may be forwarded.
        user_id: the user.
        host: the backend's host and port.
        path: the path of the backend's URL.
        query: the query of the backend's URL, "" if it has none.
        key: the gateway's own key if it has already answered the client's handshake, otherwise None. With a key, no
            extensions are offered, because the client has already got its answer without any.
    """
    offered = ", ".join(credentials.subprotocols)
    protocols = f"\r\nSec-WebSocket-Protocol: {offered}" if offered else ""
    own = (
        f"GET {forwarding.target(path, query, user_id, credentials)} HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "Connection: Upgrade\r\n"
        "Upgrade: websocket\r\n"
        f"{forwarding.own_fields(arrival, user_id)}{protocols}"
    )
    starts = _STARTS if key is None else _STARTS_WITH_KEY
    parts = [own.encode("latin-1"), *forwarding.passed_fields(arrival, credentials, starts)]
    if key is not None:
        parts.append(b"Sec-WebSocket-Key: " + key)
    return b"\r\n".join(parts) + b"\r\n\r\n"


def extension_names(headers: Headers) -> frozenset[str]:
    """Return the names in Sec-WebSocket-Extensions headers, without their parameters (RFC 6455 §9.1)."""
    offered = headers.elements(b"sec-websocket-extensions")
    return frozenset(name.partition(";")[0].strip().lower() for name in offered) if offered else _NOTHING


@dataclass(slots=True)
class Offer:
    """The offer of a handshake to a backend, for checking the response.

    Attributes:
        key: the Sec-WebSocket-Key.
        subprotocols: the subprotocols of which the backend may select one.
        extensions: the names of the extensions that the backend may accept.
        accept: the Sec-WebSocket-Accept that belongs to the key.
    """

    key: bytes
    subprotocols: tuple[str, ...] = ()
    extensions: frozenset[str] = frozenset()
    accept: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Compute it once, because the response is compared with it, and the client gets it."""
        self.accept = accept_for(self.key)


def check_response(response: Response, offer: Offer) -> str:
    """Return the problem of an invalid 101 from a backend, or "" (RFC 6455 §4.1)."""
    headers = response.headers
    if headers.one(b"upgrade").lower() != "websocket":
        return "the Upgrade header is not websocket"
    if not headers.has(b"connection", b"upgrade"):
        return "the Connection header does not contain upgrade"
    if headers.get(b"sec-websocket-accept") != (offer.accept,):
        return "the Sec-WebSocket-Accept header does not match the key"
    selected = headers.one(b"sec-websocket-protocol")
    if selected and selected not in offer.subprotocols:
        return "the backend selected a subprotocol that was not offered"
    if not extension_names(headers) <= offer.extensions:
        return "the backend accepted an extension that was not offered"
    return ""


def reserved_bits(response: Response) -> int:
    """Return the RSV bits that the accepted extensions may use.

    permessage-deflate uses RSV1 (RFC 7692); an unknown extension may use any of them.
    """
    names = extension_names(response.headers)
    if not names:
        return 0
    return RSV1 if names == {"permessage-deflate"} else ANY_RESERVED
