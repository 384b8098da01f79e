"""Replacing tokens in the log by short digests, which a test can compare without reading the secret."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

_JWT: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A JWS in compact form (RFC 7515 §7.1). Its header is a JSON object, and `{"` is `eyJ` in base64url."""

_SECRET_NAMES: Final = frozenset({"token", "access_token", "refresh_token", "password"})
"""Query parameters with secret values."""


def token_digest(token: str) -> str:
    """Return what the log shows instead of a token: `sha256:` and the first 12 hex digits of its hash."""
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def redact(text: str) -> str:
    """Replace every JWT inside `text` by its digest."""
    if "eyJ" not in text:
        return text
    return _JWT.sub(lambda match: token_digest(match.group()), text)


def redact_header(name: str, value: str) -> str:
    """Return a header's value for the log.

    In `Authorization` the scheme stays and the credentials become a digest.
    In any other header, such as `Sec-WebSocket-Protocol` or `Cookie`, every JWT becomes a digest.
    """
    if name.lower() in {"authorization", "proxy-authorization"}:
        scheme, space, credentials = value.partition(" ")
        return scheme + space + token_digest(credentials) if space else token_digest(value)
    return redact(value)


def redact_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name, with tokens as digests; repeated ones are joined with a comma (RFC 9110 §5.3)."""
    result: dict[str, str] = {}
    for raw_name, value in headers:
        name = raw_name.lower()
        shown = redact_header(name, value)
        result[name] = f"{result[name]}, {shown}" if name in result else shown
    return result


def redact_query(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return query parameters by name, with tokens as digests; repeated ones are joined with a comma."""
    result: dict[str, str] = {}
    for name, value in pairs:
        shown = token_digest(value) if name.lower() in _SECRET_NAMES else redact(value)
        result[name] = f"{result[name]},{shown}" if name in result else shown
    return result
