"""Tokens are secrets: what is logged is a short digest, so that a test can compare without ever reading one."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A JWS in compact form (RFC 7515 §7.1) whose header is a JSON object: `{"` is `eyJ` in base64url.
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_SECRET_NAMES = frozenset({"token", "access_token", "refresh_token", "password"})


def token_digest(token: str) -> str:
    """Return what the log shows instead of a token: `sha256:` and the first 12 hex digits."""
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def redact(text: str) -> str:
    """Replace every JWT inside `text` by its digest."""
    if "eyJ" not in text:
        return text
    return _JWT.sub(lambda match: token_digest(match.group()), text)


def redact_header(name: str, value: str) -> str:
    """Return a header's value as it may be logged.

    The scheme of `Authorization` stays, its credentials become a digest whatever their form.
    Any other header keeps its text but for JWTs (`Sec-WebSocket-Protocol: bearer, T`, cookies).
    """
    if name.lower() in {"authorization", "proxy-authorization"}:
        scheme, space, credentials = value.partition(" ")
        return scheme + space + token_digest(credentials) if space else token_digest(value)
    return redact(value)


def redact_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name, repeated ones joined with a comma (RFC 9110 §5.3), tokens as digests."""
    result: dict[str, str] = {}
    for raw_name, value in headers:
        name = raw_name.lower()
        shown = redact_header(name, value)
        result[name] = f"{result[name]}, {shown}" if name in result else shown
    return result


def redact_query(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return query parameters by name (repeated ones joined with a comma), tokens as digests."""
    result: dict[str, str] = {}
    for name, value in pairs:
        shown = token_digest(value) if name.lower() in _SECRET_NAMES else redact(value)
        result[name] = f"{result[name]},{shown}" if name in result else shown
    return result
