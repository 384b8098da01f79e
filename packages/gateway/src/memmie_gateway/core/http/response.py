"""HTTP responses: those received from Auth and backends, and those that the gateway writes itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from memmie_gateway.core.http.headers import Headers


class Response(NamedTuple):
    """A response to a request of the gateway.

    Attributes:
        status: the HTTP status.
        headers: all fields.
        body: the part of the body that was read; b"" for a 101.
    """

    status: int
    headers: Headers
    body: bytes = b""


def http_response(status: int, body: bytes, content_type: str, extra: str = "") -> bytes:
    """Build a complete HTTP/1.1 response after which the connection is closed.

    Args:
        status: the HTTP status.
        body: the body.
        content_type: the media type of the body.
        extra: further header lines, each with its line end.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"Connection: close\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + body
