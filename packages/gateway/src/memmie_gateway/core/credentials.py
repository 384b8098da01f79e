"""Where a token may be in a handshake, and which subprotocols are left when it is taken out (spec §1)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from memmie_gateway.core.request import Request

MAX_TOKEN_LENGTH: Final = 8192
"""Characters. A longer one is refused without asking Auth."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")  # what an Authorization header can carry after "Bearer "


class Credentials(NamedTuple):
    """What a handshake offers.

    Attributes:
        token: the token, or None where there is none.
        subprotocols: what else was offered in `Sec-WebSocket-Protocol`, in order: these go to Studio.
        bearer: `bearer` as the client spelled it, who must see it selected unless Studio selects another; "" where
            it was not offered.
    """

    token: str | None
    subprotocols: tuple[str, ...] = ()
    bearer: str = ""

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"Credentials(subprotocols={self.subprotocols}, bearer={self.bearer!r})"


def find_credentials(request: Request, *, first_message: bool = False) -> Credentials:
    """Find the token; the first place that has one wins (spec §1).

    The order is `Authorization: Bearer T`, `Sec-WebSocket-Protocol: bearer, T`, `?token=T`, and last a lone
    `Sec-WebSocket-Protocol: T`: a client that sends its token elsewhere can so offer a subprotocol of its own.
    Where `first_message` auth is on, a lone subprotocol is one, as the token is still to come.
    """
    bearer = ""
    in_protocol: str | None = None
    others: list[str] = []
    offered = iter(request.headers.elements(b"sec-websocket-protocol"))
    for name in offered:
        if name.lower() == "bearer":
            bearer, token = bearer or name, next(offered, None)
            in_protocol = in_protocol or token
        else:
            others.append(name)
    found = _from_authorization(request) or in_protocol or _from_query(request)
    if found is None and len(others) == 1 and not bearer and not first_message:
        return Credentials(others[0])
    # A client may send its token in two places at once: Studio must not see it as a subprotocol.
    return Credentials(found, tuple(name for name in others if name != found), bearer)


def plausible(token: str) -> bool:
    """Tell whether `token` could be one at all, so that Auth need not be asked about garbage."""
    return len(token) <= MAX_TOKEN_LENGTH and _TOKEN.fullmatch(token) is not None


def _from_authorization(request: Request) -> str | None:
    for value in request.headers.all(b"authorization"):
        scheme, _, token = value.decode("latin-1").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    return None


def _from_query(request: Request) -> str | None:
    return next((value for name, value in request.query if name == "token" and value), None)
