"""HTTP responses: what one holds, and those that the gateway writes itself (RFC 9110, RFC 9112)."""

from __future__ import annotations

import pytest

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.response import Envelope, Response, header_lines, http_response


def test_a_response_without_a_body() -> None:
    assert Response(101, Headers()).body == b""


NOW = 1_764_105_704.9
COMMON = (
    b"Cache-Control: no-store\r\nDate: Tue, 25 Nov 2025 21:21:44 GMT\r\nServer: memmie-gateway\r\n"
    b"X-Request-ID: r1\r\nConnection: close\r\n"
)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (499, b"HTTP/1.1 499 \r\n"),  # RFC 9112 §4: the phrase may be empty, its blank may not be missing
    ],
)
@pytest.mark.parametrize(("method", "body"), [("GET", b"hi"), ("", b"hi"), ("HEAD", b"")])
def test_http_response(status: int, expected: bytes, method: str, body: bytes) -> None:
    """To HEAD, without its body (RFC 9110 §9.3.2)."""
    response = http_response(status, b"hi", "text/plain", "X-A: 1\r\n", envelope=Envelope("r1", method, NOW))
    content = b"Content-Type: text/plain\r\nContent-Length: 2\r\n"
    assert response == expected + content + COMMON + b"X-A: 1\r\n\r\n" + body


def test_http_response_without_content() -> None:
    """RFC 9110 §8.6: a 204 has no Content-Length."""
    response = http_response(204, b"", "text/plain", envelope=Envelope("r1", "GET", NOW))
    assert response == b"HTTP/1.1 204 No Content\r\n" + COMMON + b"\r\n"


def test_fields_as_lines() -> None:
    assert header_lines(()) == ""
    assert header_lines((("Vary", "Origin"), ("A", "b, c"))) == "Vary: Origin\r\nA: b, c\r\n"
