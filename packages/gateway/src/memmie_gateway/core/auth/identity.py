"""The identity of a client with a valid token."""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

from memmie_gateway.core.record import record
from memmie_gateway.core.steps import Maybe

MAX_CLAIMS_BYTES: Final = 2048
"""Maximum size in bytes of the claims as JSON; they are the fields of Auth's answer that the gateway does not use."""


@record
class Identity:
    """The user that a valid token belongs to.

    Attributes:
        user_id: the id of the user; 1 to 1024 bytes of UTF-8 without control characters.
        expires: unix seconds at which the token ends, TOKEN_LEEWAY_SECONDS included; 0 if it does not end.
        digest: identifies the token without revealing it; b"" for a request without one.
        claims_json: the other fields of Auth's answer as a JSON object of at most `MAX_CLAIMS_BYTES`; b"" for none.
            Bytes are immutable and take a fraction of the memory of a dict.
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
        """The claims; each access parses them again."""
        return dict(json.loads(self.claims_json)) if self.claims_json else {}


class Authenticator(Protocol):
    """Validates tokens."""

    def authenticate(self, token: str, address: str) -> Maybe[Identity]:
        """Return the identity that a token belongs to, or an awaitable of it if Auth must be asked.

        Args:
            token: the token.
            address: the key of the client's address (see `core.http.client_address`).

        Raises:
            RefusedError: the token is invalid, or cannot be validated now. It is raised directly or by the awaitable.
        """
