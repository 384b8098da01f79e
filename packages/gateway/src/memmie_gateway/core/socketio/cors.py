"""The header fields that let a web page read answers of another origin (Fetch standard, CORS protocol)."""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.http.headers import Headers

PREFLIGHT: Final = (
    "Allow: GET, OPTIONS, POST\r\n"
    "Access-Control-Allow-Methods: GET, POST\r\n"
    "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
    "Access-Control-Max-Age: 600\r\n"
)
"""The further header lines of the answer to a preflight."""


def cors_lines(headers: Headers, *, every: bool) -> str:
    """Return the header lines for the answer to a request, each with its line end.

    Args:
        headers: the header fields of the request, of which the origin is allowed.
        every: whether all origins are allowed. Then no page may send cookies, and neither may a page without an origin.
    """
    origins = headers.all(b"origin")
    if len(origins) != 1:
        return ""
    origin = origins[0].decode("latin-1")
    if every:
        return "Access-Control-Allow-Origin: *\r\n"
    credentials = "" if origin == "null" else "Access-Control-Allow-Credentials: true\r\n"
    return f"Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n{credentials}"
