"""HTTP responses: those received from Auth and backends, and those that the gateway writes itself."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

from memmie_gateway.core.http.headers import Headers

SERVER: Final = "memmie-gateway"
"""The value of the Server header; it does not tell the version."""


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


class Envelope(NamedTuple):
    """The parts of a response that do not depend on what it says.

    Attributes:
        request_id: the value of X-Request-ID.
        method: the method of the request; a response to HEAD has no body (RFC 9110 §9.3.2).
        now: the time in seconds since 1970.
    """

    request_id: str
    method: str
    now: float


def header_lines(fields: Iterable[tuple[str, str]]) -> str:
    """Return header fields as header lines, each with its line end."""
    return "".join([f"{name}: {value}\r\n" for name, value in fields])


def http_response(
    status: int, body: bytes, content_type: str, extra: str = "", *, envelope: Envelope
) -> bytes:
    """Build a complete HTTP/1.1 response after which the connection is closed.

    Args:
        status: the HTTP status.
        body: the body.
        content_type: the media type of the body.
        extra: further header lines, each with its line end.
        envelope: the parts that do not depend on what the response says.
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    # A 204 must not have a Content-Length (RFC 9110 §8.6).
    content = "" if status == 204 else f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        f"{content}"
        "Cache-Control: no-store\r\n"
        f"Date: {_http_date(int(envelope.now))}\r\n"
        f"Server: {SERVER}\r\n"
        f"X-Request-ID: {envelope.request_id}\r\n"
        f"Connection: close\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + (b"" if envelope.method == "HEAD" else body)


@functools.lru_cache(maxsize=2)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)  # the same for all responses of a second
