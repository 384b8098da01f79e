"""Cross-origin requests of web pages to the HTTP routes (the Fetch standard, §3.2).

The gateway decides which pages may read answers, and answers preflights itself. What a service says about this is dropped.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.origins import Origins
from memmie_gateway.core.http.request import Request

Lines = tuple[tuple[str, str], ...]
"""Header fields of an answer."""

PREFIX: Final = b"access-control-"
"""The fields of a service that are dropped."""

_EXPOSED: Final = (
    "Access-Control-Expose-Headers",
    "Content-Disposition, ETag, Link, Location, Retry-After, X-Request-ID",
)

_VARY: Final = ("Vary", "Origin")

_PREFLIGHT: Final = (
    ("Access-Control-Allow-Headers", "authorization, content-type"),
    ("Access-Control-Max-Age", "600"),
)


class Page(NamedTuple):
    """What pages of the origin of a request may do.

    Attributes:
        allowed: whether the request may be forwarded; a request without an origin may.
        fields: the header fields of every answer to it.
    """

    allowed: bool
    fields: Lines


def page_of(origins: Origins, headers: Headers) -> Page:
    """Return what the page that has sent a request may do.

    Under `*` no page gets credentials, because then any page could act for the user of its browser. The origin `null` gets
    none either, because every sandboxed frame has it. A request without an origin gets the same fields as one with an origin,
    because a cache may keep its answer for a page.

    Args:
        origins: the origins of pages that are allowed.
        headers: the headers of the request.
    """
    given = headers.all(b"origin")
    if origins.every:
        return Page(allowed=True, fields=(("Access-Control-Allow-Origin", "*"), _EXPOSED))
    if not given:
        return Page(allowed=True, fields=(_VARY,))
    if not origins.allow(headers):
        return Page(allowed=False, fields=(_VARY,))
    origin = given[0].decode("latin-1")
    fields: Lines = (("Access-Control-Allow-Origin", origin), _VARY, _EXPOSED)
    if origin != "null":
        fields += (("Access-Control-Allow-Credentials", "true"),)
    return Page(allowed=True, fields=fields)


def is_preflight(request: Request) -> bool:
    """Tell whether a request is a preflight, which has neither a token nor a body."""
    headers = request.headers
    return (
        request.method == "OPTIONS"
        and headers.get(b"origin") is not None
        and headers.get(b"access-control-request-method") is not None
    )


def preflight_fields(methods: tuple[str, ...]) -> Lines:
    """Return the further header fields of the answer to a preflight.

    Args:
        methods: the methods that are allowed.
    """
    return (("Access-Control-Allow-Methods", ", ".join(methods)), *_PREFLIGHT)
