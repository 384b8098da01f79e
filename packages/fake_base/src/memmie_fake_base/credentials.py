"""The bearer token of an HTTP request."""

from __future__ import annotations

from aiohttp import web


def bearer_token(request: web.BaseRequest) -> str:
    """Return the token in `Authorization` (RFC 6750 §2.1), empty if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
