"""Refresh tokens: opaque, valid for one use, stored as digests."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

from memmie_fake_base import BoundedStore
from memmie_fake_base.problems import Problem


class RefreshTokens:
    """The refresh tokens that are issued and not yet used.

    Args:
        limit: how many are held.
        ttl_seconds: how long each is valid.
    """

    def __init__(self, limit: int, ttl_seconds: float) -> None:
        self._ttl = ttl_seconds
        self._issued: BoundedStore[tuple[str, float]] = BoundedStore("refresh tokens", limit)

    def issue(self, user_id: str) -> str:
        """Return a new refresh token for a user.

        Raises:
            Problem: 507, the limit of unexpired refresh tokens is reached.
        """
        if len(self._issued) >= self._issued.limit:
            self._drop(lambda _user, until: until <= time.time())
        token = secrets.token_urlsafe(32)
        self._issued[_digest(token)] = (user_id, time.time() + self._ttl)
        return token

    def redeem(self, token: str) -> str:
        """Return the user id of a refresh token, which becomes invalid.

        Raises:
            Problem: 401, the refresh token is unknown, was already used, or has expired.
        """
        # It is looked up by its digest, so that timing reveals nothing about the stored tokens.
        user_id, until = self._issued.pop(_digest(token), ("", 0.0))
        if until <= time.time():
            raise Problem(
                401, "invalid_refresh_token", "the refresh token is unknown, was already used, or has expired"
            )
        return user_id

    def revoke_all_of(self, user_id: str) -> None:
        """Invalidate every refresh token of a user."""
        self._drop(lambda user, _until: user == user_id)

    def clear(self) -> None:
        """Invalidate all refresh tokens."""
        self._issued.clear()

    def _drop(self, condition: Callable[[str, float], bool]) -> None:
        for key in [key for key, (user, until) in self._issued.items() if condition(user, until)]:
            del self._issued[key]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
