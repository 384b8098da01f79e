"""Refresh tokens: opaque, stored as digests, good for one use."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING

from memmie_fake_base import BoundedStore
from memmie_fake_base.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable


class RefreshTokens:
    """Issue, redeem, forget."""

    def __init__(self, limit: int, ttl_seconds: float) -> None:
        self._ttl = ttl_seconds
        self._issued: BoundedStore[tuple[str, float]] = BoundedStore("refresh tokens", limit)

    def issue(self, user_id: str) -> str:
        """Return a new refresh token for a user.

        Raises:
            Problem: 507, as many unexpired ones are out as can be held.
        """
        if len(self._issued) >= self._issued.limit:
            self._drop(lambda _user, until: until <= time.time())
        token = secrets.token_urlsafe(32)
        self._issued[_digest(token)] = (user_id, time.time() + self._ttl)
        return token

    def redeem(self, token: str) -> str:
        """Return whose token it is; it is used up.

        Raises:
            Problem: 401, it is unknown, used or expired.
        """
        # Looked up by digest, so timing tells nothing about the tokens that are stored.
        user_id, until = self._issued.pop(_digest(token), ("", 0.0))
        if until <= time.time():
            raise Problem(401, "invalid_refresh_token", "the refresh token is unknown, used or expired")
        return user_id

    def forget_user(self, user_id: str) -> None:
        """Make every refresh token of a user worthless."""
        self._drop(lambda user, _until: user == user_id)

    def clear(self) -> None:
        """Forget all."""
        self._issued.clear()

    def _drop(self, doomed: Callable[[str, float], bool]) -> None:
        for key in [key for key, (user, until) in self._issued.items() if doomed(user, until)]:
            del self._issued[key]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
