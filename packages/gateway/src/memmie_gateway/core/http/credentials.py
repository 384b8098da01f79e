"""Token sources: the places in a request where a token may be (spec §1).

Each source finds the tokens in its place *and* removes them. A request is forwarded only after all sources have removed
their tokens, so a new source, which is one class and one row, cannot leak its tokens.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from memmie_gateway.core.http import query
from memmie_gateway.core.http.headers import Fields
from memmie_gateway.core.http.request import Request

LONGEST_SUBPROTOCOL: Final = 64
"""Characters. With first-message auth, a longer subprotocol looks like a token."""

_THREE_PARTS: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)  # a JWT (RFC 7519 §3.1)

_VISIBLE: Final = bytes(range(0x21, 0x7F))  # what an Authorization header can carry after "Bearer "


@dataclass(slots=True)
class Credentials:
    """The token of a request, and the parts of the request that may be forwarded.

    Only `find_credentials` and its token sources change them.

    Attributes:
        token: the token, or None if there is none.
        fields: the header fields that may be forwarded.
        query: the part of the query that may be forwarded, not decoded.
        subprotocols: the other elements of `Sec-WebSocket-Protocol`, in order.
        bearer: `bearer` as the client spelled it, which must be selected unless the backend selects another
            subprotocol; "" if it was not offered.
    """

    token: str | None
    fields: Fields = ()
    query: str = ""
    subprotocols: tuple[str, ...] = ()
    bearer: str = ""

    def __repr__(self) -> str:
        """Leave out the token, and parts that may contain other secrets."""
        return f"Credentials(subprotocols={self.subprotocols}, bearer={self.bearer!r})"

    @property
    def selected(self) -> str:
        """The subprotocol that the gateway selects if it answers the handshake itself; "" for none."""
        return self.subprotocols[0] if self.subprotocols else self.bearer


class TokenSource(Protocol):
    """One place where a token may be."""

    def find(self, request: Request) -> Sequence[str]:
        """Return the tokens in this place, in order; only the first of a request is used."""

    def strip(self, rest: Credentials, tokens: Sequence[str]) -> None:
        """Remove every possible token in this place from the parts of a request, whether it is used or not.

        Args:
            rest: these parts, after earlier sources have removed their tokens.
            tokens: every token of the request, from all places.
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

    def strip(self, rest: Credentials, _: Sequence[str]) -> None:
        """Drop the header, whatever its scheme, because it is for the gateway only."""
        rest.fields = tuple([field for field in rest.fields if field[0] != b"authorization"])


class BearerSubprotocol:
    """`Sec-WebSocket-Protocol: bearer, T`, which a browser can send."""

    def find(self, request: Request) -> Sequence[str]:
        """Return the element after each `bearer`."""
        return _split_bearer(request.headers.elements(b"sec-websocket-protocol"))[1]

    def strip(self, rest: Credentials, tokens: Sequence[str]) -> None:
        """Drop every pair of `bearer` and token, and every other token, because a client may send one in two places."""
        if rest.subprotocols:
            rest.bearer, _, others = _split_bearer(rest.subprotocols)
            rest.subprotocols = tuple(name for name in others if name not in tokens)


class QueryField:
    """A field of the query, such as `?token=T`.

    Args:
        name: the decoded name of the field.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def find(self, request: Request) -> Sequence[str]:
        """Return the non-empty values."""
        if not request.query:
            return ()
        return [value for name, value in query.fields(request.query) if name == self._name and value]

    def strip(self, rest: Credentials, _: Sequence[str]) -> None:
        """Drop every field with this name."""
        if rest.query:
            rest.query = query.without(rest.query, lambda name, _: query.decode(name) == self._name)


class LoneSubprotocol:
    """`Sec-WebSocket-Protocol: T`, for clients that are not browsers.

    If the token is in another place, a lone subprotocol is not a token.
    """

    def find(self, request: Request) -> Sequence[str]:
        """Return the subprotocol if it is the only one, is not `bearer`, and no other place has a token."""
        offered = request.headers.elements(b"sec-websocket-protocol")
        if len(offered) != 1 or offered[0].lower() == "bearer":
            return ()
        return () if any(source.find(request) for source in HEAD_SOURCES) else offered

    def strip(self, rest: Credentials, tokens: Sequence[str]) -> None:
        """Drop every token."""
        if rest.subprotocols:
            rest.subprotocols = tuple(name for name in rest.subprotocols if name not in tokens)


class LoneLikelyToken(LoneSubprotocol):
    """The same if the token may also come in the first message: a lone subprotocol that looks like a token.

    Any other lone subprotocol is a subprotocol, because the client may send its token later.
    """

    def find(self, request: Request) -> Sequence[str]:
        """Return the subprotocol if it is the only one and looks like a token, and no other place has a token."""
        return [name for name in super().find(request) if looks_like_token(name)]

    def strip(self, rest: Credentials, tokens: Sequence[str]) -> None:
        """Drop every token, and every other name that is too long for a subprotocol, because the gateway selects one."""
        super().strip(rest, tokens)
        if rest.subprotocols:
            rest.subprotocols = tuple(n for n in rest.subprotocols if len(n) <= LONGEST_SUBPROTOCOL)


HEAD_SOURCES: Final[tuple[TokenSource, ...]] = (
    AuthorizationHeader(),
    BearerSubprotocol(),
    QueryField("token"),
)
"""The sources that are used for every request; the first one with a token wins."""

ALL_SOURCES: Final[tuple[TokenSource, ...]] = (*HEAD_SOURCES, LoneSubprotocol())
"""The sources without first-message auth."""

FIRST_MESSAGE_SOURCES: Final[tuple[TokenSource, ...]] = (*HEAD_SOURCES, LoneLikelyToken())
"""The sources with first-message auth."""


def find_credentials(request: Request, sources: tuple[TokenSource, ...] = ALL_SOURCES) -> Credentials:
    """Find the token in the first source that has one, and remove all tokens from the request."""
    tokens: list[str] = []
    headers = request.headers
    offered = tuple(headers.elements(b"sec-websocket-protocol"))
    rest = Credentials(None, headers.fields, request.query, offered)
    for source in sources:
        tokens += source.find(request)
        if tokens and not offered:
            break  # other places are stripped by name; only among subprotocols must tokens be recognised by value
    for source in sources:
        source.strip(rest, tokens)
    rest.token = tokens[0] if tokens else None
    return rest


def read_auth_message(message: bytes) -> str | None:
    """Return the token of a first message `{"type":"auth","data":{"token":"T"}}`, or None if it is another message.

    Nothing has to be removed, because this message is not forwarded.
    """
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("type") != "auth" or not isinstance(body.get("data"), dict):
        return None
    token = body["data"].get("token")
    return token if isinstance(token, str) and token else None


def looks_like_token(subprotocol: str) -> bool:
    """Tell whether a subprotocol has the form of a token: three dotted base64url parts, or too long for another one."""
    return len(subprotocol) > LONGEST_SUBPROTOCOL or _THREE_PARTS.fullmatch(subprotocol) is not None


def plausible(token: str) -> bool:
    """Tell whether `token` has the form of a token, so that garbage is not sent to Auth."""
    # Not a regular expression, which costs ten times as much for the length of a JWT.
    return bool(token) and token.isascii() and not token.encode().translate(None, _VISIBLE)


def _split_bearer(offered: Sequence[str]) -> tuple[str, Sequence[str], Sequence[str]]:
    """Split subprotocols into the first `bearer` as spelled, the element after each `bearer`, and all others."""
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
