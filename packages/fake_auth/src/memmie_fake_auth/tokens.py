"""Access tokens: minting, verifying and revoking JWTs (spec §5)."""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass
from typing import Final, Literal, get_args

import jwt

from memmie_fake_auth.keys import ALGORITHM, SigningKey
from memmie_fake_auth.settings import AuthSettings
from memmie_fake_base import BoundedStore

TokenKind = Literal["valid", "expired", "revoked", "bad_signature"]
"""A valid token, or what is wrong with it."""

KINDS: Final[tuple[TokenKind, ...]] = get_args(TokenKind)
"""Every kind of token."""


class RefusedTokenError(Exception):
    """The token is invalid; the message says why, without quoting the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of a valid token.

    Attributes:
        user_id: the subject.
        email: the subject's e-mail address.
        phone: the subject's phone number, may be empty.
        expires: when the token expires, in unix seconds.
        token_id: the JWT's `jti`, by which the token is revoked.
    """

    user_id: str
    email: str
    phone: str
    expires: int
    token_id: str


class TokenMint:
    """Mints, verifies and revokes tokens.

    Attributes:
        key: the key that signs them.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self.key = SigningKey(settings.signing_key)
        self._revoked: BoundedStore[int] = BoundedStore(
            "revoked tokens", settings.max_revocations, cleared_by_reset=False
        )

    def mint(
        self, user_id: str, *, email: str, phone: str = "", ttl_seconds: float, kind: TokenKind = "valid"
    ) -> tuple[str, int]:
        """Return a token and the unix second it expires at.

        Args:
            user_id: the subject.
            email: the subject's e-mail address.
            phone: the subject's phone number.
            ttl_seconds: how long it is valid; for `expired`, how long it was valid.
            kind: `valid`, or what is wrong with it.

        Raises:
            ValueError: `user_id` is empty, `ttl_seconds` is not positive, or the kind is unknown.
            Problem: 507, for `revoked`: the limit of unexpired revoked tokens is reached.
        """
        if not user_id:
            raise ValueError("user_id is empty; the id of a user is expected")
        if not 0 < ttl_seconds < 10**10:
            raise ValueError(
                f"ttl_seconds: {ttl_seconds} is given; allowed: more than 0 and less than 10000000000"
            )
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is given; allowed: {', '.join(KINDS)}")
        now = time.time()
        # Rounded up, because a token must not expire before `ttl_seconds` are over.
        expires = int(now) - 1 if kind == "expired" else -int(-(now + ttl_seconds) // 1)
        issued = int(expires - ttl_seconds) if kind == "expired" else int(now)
        claims = {
            "sub": user_id,
            "email": email,
            "phone": phone,
            "iat": issued,
            "exp": expires,
            "jti": uuid.uuid4().hex,
        }
        token = jwt.encode(claims, self.key.private, algorithm=ALGORITHM, headers={"kid": self.key.id})
        if kind == "revoked":
            self.revoke(str(claims["jti"]), expires)
        if kind == "bad_signature":
            token = _spoil_signature(token)
        return token, expires

    def verify(self, token: str) -> Claims:
        """Return the claims of a valid token.

        Raises:
            RefusedTokenError: the token is malformed, badly signed, expired or revoked.
        """
        try:
            claims = jwt.decode(
                token,
                self.key.public,
                algorithms=[ALGORITHM],
                options={"require": ["sub", "exp", "iat", "jti"]},
            )
        except jwt.ExpiredSignatureError:
            raise RefusedTokenError("the token has expired") from None
        except (jwt.InvalidTokenError, UnicodeError):
            raise RefusedTokenError("the token is invalid") from None
        if claims["jti"] in self._revoked:
            raise RefusedTokenError("the token has been revoked")
        return Claims(
            user_id=claims["sub"],
            email=claims.get("email", ""),
            phone=claims.get("phone", ""),
            expires=int(claims["exp"]),
            token_id=claims["jti"],
        )

    def revoke(self, token_id: str, expires: int) -> None:
        """Revoke a token.

        Raises:
            Problem: 507, the limit of unexpired revoked tokens is reached.
        """
        if len(self._revoked) >= self._revoked.limit:
            now = time.time()
            for expired in [key for key, until in self._revoked.items() if until <= now]:
                del self._revoked[expired]
        self._revoked[token_id] = expires


def _spoil_signature(token: str) -> str:
    head, payload, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[0] ^= 0xFF
    return f"{head}.{payload}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
