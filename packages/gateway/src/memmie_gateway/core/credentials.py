"""Where a token may be in a request. Each source is one row that finds it *and* strips it (spec §1).

What is forwarded to a backend is the draft that all sources have stripped, so a new source is one class and one row,
and cannot leak its tokens.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from memmie_gateway.core.headers import Fields
from memmie_gateway.core.request import QueryFields, Request

MAX_TOKEN_LENGTH: Final = 8192
"""Characters. A longer token is refused without asking Auth."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")  # what an Authorization header can carry after "Bearer "


class Draft:
    """What may be forwarded of a request, while the token sources strip it.

    Args:
        request: as the client sent it.

    Attributes:
        headers: all header fields, by name.
        fields: the header fields that may be forwarded.
        query: the query fields.
        subprotocols: what is offered in `Sec-WebSocket-Protocol`, in order.
        bearer: `bearer` as the client spelled it in `Sec-WebSocket-Protocol`, "" where it was not offered.
    """

    __slots__ = ("bearer", "fields", "headers", "query", "subprotocols")

    def __init__(self, request: Request) -> None:
        self.headers = request.headers
        self.fields: Fields = request.headers.fields
        self.query: QueryFields = request.query
        self.subprotocols = tuple(request.headers.elements(b"sec-websocket-protocol"))
        self.bearer = ""


class TokenSource(Protocol):
    """One place where a token may be."""

    def find(self, request: Request) -> Sequence[str]:
        """Return the tokens in this place, in order; only the first of a request is used."""

    def strip(self, draft: Draft, tokens: Sequence[str]) -> None:
        """Take everything out of the draft that may be a token in this place, used or not.

        Args:
            draft: what the sources before have left.
            tokens: every token of the request, in whatever place it was found.
        """


class AuthorizationHeader:
    """`Authorization: Bearer T`."""

    def find(self, request: Request) -> Sequence[str]:
        """Return the bearer tokens."""
        tokens = []
        for value in request.headers.all(b"authorization"):
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and token.strip():
                tokens.append(token.strip())
        return tokens

    def strip(self, draft: Draft, _: Sequence[str]) -> None:
        """Drop the header, whatever its scheme: it is for the gateway."""
        for value in draft.headers.all(b"authorization"):
            at = draft.fields.index((b"authorization", value))
            draft.fields = draft.fields[:at] + draft.fields[at + 1 :]


class BearerSubprotocol:
    """`Sec-WebSocket-Protocol: bearer, T`, which a browser can send."""

    def find(self, request: Request) -> Sequence[str]:
        """Return the element behind each `bearer`."""
        return _split_bearer(request.headers.elements(b"sec-websocket-protocol"))[1]

    def strip(self, draft: Draft, tokens: Sequence[str]) -> None:
        """Drop every such pair, and every token: a client may send one in two places."""
        if draft.subprotocols:
            draft.bearer, _, others = _split_bearer(draft.subprotocols)
            draft.subprotocols = tuple(name for name in others if name not in tokens)


class QueryField:
    """`?token=T`."""

    def find(self, request: Request) -> Sequence[str]:
        """Return the values that are not empty."""
        return [value for name, value in request.query if name == "token" and value]

    def strip(self, draft: Draft, _: Sequence[str]) -> None:
        """Drop every field of that name."""
        if draft.query:
            draft.query = tuple(field for field in draft.query if field[0] != "token")


class LoneSubprotocol:
    """`Sec-WebSocket-Protocol: T`, for clients that are not browsers.

    A client that sends its token elsewhere can offer a subprotocol of its own.
    """

    def find(self, request: Request) -> Sequence[str]:
        """Return the subprotocol, if exactly one is offered, which is not `bearer`, and no other place has a token."""
        offered = request.headers.elements(b"sec-websocket-protocol")
        if len(offered) != 1 or offered[0].lower() == "bearer":
            return ()
        return () if any(source.find(request) for source in HEAD_SOURCES) else offered

    def strip(self, draft: Draft, tokens: Sequence[str]) -> None:
        """Drop every token."""
        if draft.subprotocols:
            draft.subprotocols = tuple(name for name in draft.subprotocols if name not in tokens)


HEAD_SOURCES: Final[tuple[TokenSource, ...]] = (AuthorizationHeader(), BearerSubprotocol(), QueryField())
"""Sources that hold for every request; the first that has a token wins."""

ALL_SOURCES: Final[tuple[TokenSource, ...]] = (*HEAD_SOURCES, LoneSubprotocol())
"""With first-message auth, a lone subprotocol is a subprotocol: the token may still come. Otherwise these hold."""


class Credentials(NamedTuple):
    """The token of a request, and what is left of the request without any.

    Attributes:
        token: the token, or None where there is none.
        fields: the header fields that may be forwarded.
        query: the query fields that may be forwarded.
        subprotocols: what else was offered in `Sec-WebSocket-Protocol`, in order.
        bearer: `bearer` as the client spelled it, which must be selected unless the backend selects another
            subprotocol; "" where it was not offered.
    """

    token: str | None
    fields: Fields = ()
    query: QueryFields = ()
    subprotocols: tuple[str, ...] = ()
    bearer: str = ""

    def __repr__(self) -> str:
        """Leave out the token, and what may hold other secrets."""
        return f"Credentials(subprotocols={self.subprotocols}, bearer={self.bearer!r})"


def find_credentials(request: Request, sources: tuple[TokenSource, ...] = ALL_SOURCES) -> Credentials:
    """Find the token in the first source that has one, and strip the request of it and of all others."""
    tokens: list[str] = []
    draft = Draft(request)
    for source in sources:
        tokens += source.find(request)
        if tokens and not draft.subprotocols:
            break  # all others are stripped unseen: only among subprotocols must a token be known by its value
    for source in sources:
        source.strip(draft, tokens)
    token = tokens[0] if tokens else None
    return Credentials(token, draft.fields, draft.query, draft.subprotocols, draft.bearer)


def read_auth_message(message: bytes) -> str | None:
    """Return the token of a first message `{"type":"auth","data":{"token":"T"}}`, or None where it is not one.

    This source has nothing to strip: the message is consumed.
    """
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("type") != "auth" or not isinstance(body.get("data"), dict):
        return None
    token = body["data"].get("token")
    return token if isinstance(token, str) and token else None


def plausible(token: str) -> bool:
    """Tell whether `token` can be a token at all, so that Auth is not asked about garbage."""
    return len(token) <= MAX_TOKEN_LENGTH and _TOKEN.fullmatch(token) is not None


def _split_bearer(offered: Sequence[str]) -> tuple[str, Sequence[str], Sequence[str]]:
    """Split offered subprotocols into the first `bearer` as it was spelled, the tokens behind each, and the others."""
    if not offered:
        return "", (), ()
    bearer = ""
    tokens: list[str] = []
    others: list[str] = []
    names = iter(offered)
    for name in names:
        if name.lower() == "bearer":
            bearer = bearer or name
            tokens += itertools.islice(names, 1)
        else:
            others.append(name)
    return bearer, tokens, others
