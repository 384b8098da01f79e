"""Who a client is, once its token was validated."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, Protocol

from memmie_gateway.core.steps import Maybe

MAX_CLAIMS_BYTES: Final = 2048
"""Bytes of JSON that an identity keeps of what Auth said beyond the user and the end of the token."""


class Identity(NamedTuple):
    """The owner of a valid token.

    Attributes:
        user_id: names the user; 1 to 256 printable characters.
        expires: unix seconds at which the token ends; 0 where Auth names no end.
        digest: names the token without revealing it.
        claims_json: the other fields of Auth's answer as a JSON object of at most `MAX_CLAIMS_BYTES`; b"" for none.
            Kept as bytes, which take a fraction of a dict's memory and cannot be changed.
    """

    user_id: str
    expires: float = 0
    digest: bytes = b""
    claims_json: bytes = b""

    def __repr__(self) -> str:
        """Leave out the user and the claims."""
        return f"Identity(expires={self.expires})"

    @property
    def claims(self) -> dict[str, Any]:
        """The claims, read anew at each call."""
        return dict(json.loads(self.claims_json)) if self.claims_json else {}


class Authenticator(Protocol):
    """Finds out who the owner of a token is."""

    def authenticate(self, token: str) -> Maybe[Identity]:
        """Return the owner of a token: at once if that is known, else an awaitable.

        Raises:
            RefusedError: the token is refused, or cannot be validated now; raised at once or by the awaitable.
        """
