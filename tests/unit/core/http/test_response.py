"""HTTP responses: what one holds, and those that the gateway writes itself (RFC 9110, RFC 9112)."""

from __future__ import annotations

import pytest

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.response import Response, http_response


def test_a_response_without_a_body() -> None:
    assert Response(101, Headers()).body == b""


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (499, b"HTTP/1.1 499 \r\n"),  # RFC 9112 §4: the phrase may be empty, its blank may not be missing
    ],
)
def test_http_response(status: int, expected: bytes) -> None:
    assert http_response(status, b"hi", "text/plain", "X-A: 1\r\n") == expected + (
        b"Content-Type: text/plain\r\nContent-Length: 2\r\nCache-Control: no-store\r\n"
        b"Connection: close\r\nX-A: 1\r\n\r\nhi"
    )


def test_http_response_without_a_body() -> None:
    assert http_response(204, b"", "text/plain") == (
        b"HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"
        b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
