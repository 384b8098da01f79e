"""Refusals that a web page can read (spec §1).

A browser hides the HTTP answer to a handshake from its page. So the gateway can accept the upgrade of a page that it
refuses, and close it at once with a close code that the page can read.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memmie_gateway.core.http.credentials import LONGEST_SUBPROTOCOL, TokenSource, find_credentials
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.outcomes import Cause

READABLE: Final = frozenset({
    Cause.TOKEN_MISSING,
    Cause.TOKEN_TOO_LONG,
    Cause.TOKEN_REFUSED,
    Cause.ORIGIN_REFUSED,
    Cause.USER_FULL,
    Cause.INTERNAL,
    Cause.AUTH_UNAVAILABLE,
    Cause.AUTH_UNUSABLE,
    Cause.NO_BACKEND,
    Cause.BACKEND_FAILED,
    Cause.BACKEND_REFUSED,
})  # fmt: skip
"""The causes of refusals that a page can read.

The refusals of clients that connect too often, or while the gateway is full or shuts down, are not among them, because
they must cost as little as possible."""


class ReadableRefusal(NamedTuple):
    """An upgrade that is accepted, only to be closed.

    Attributes:
        code: the code of the Close frame.
        reason: the reason of the Close frame: the code of the cause, which is stable.
        subprotocol: the subprotocol to select, "" for none.
    """

    code: int
    reason: str
    subprotocol: str


def readable_refusal(
    error: RefusedError, request: Request, sources: tuple[TokenSource, ...]
) -> ReadableRefusal | None:
    """Return how a page is refused, or None if it gets an HTTP response.

    A browser fails a connection of which the server selects no subprotocol, or one that was not offered (RFC 6455 §4.1).
    The gateway never selects a token. So if only a token is offered, the page cannot be told.

    Args:
        error: the refusal.
        request: a valid handshake.
        sources: the places where a token may be.
    """
    if error.cause not in READABLE:
        return None
    credentials = find_credentials(request, sources)
    selected = credentials.bearer
    if not selected and request.headers.elements(b"sec-websocket-protocol"):
        names = [name for name in credentials.subprotocols if len(name) <= LONGEST_SUBPROTOCOL]
        if not names:
            return None
        selected = names[0]
    return ReadableRefusal(4000 + error.status, error.cause.ending.code, selected)
