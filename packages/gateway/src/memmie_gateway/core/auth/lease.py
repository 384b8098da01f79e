"""The lease on a token: until when it holds, and who may end it early (spec §2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from memmie_gateway.core.steps import Maybe

MILLISECONDS_SPAN: Final = 10 * 366 * 86_400.0
"""Seconds. A number of Auth is read as milliseconds only if this makes it a date within this time of now."""


class TokenEnds:
    """Reads from Auth's answers when tokens end.

    Args:
        leeway: seconds for which a token stays valid after it has expired.

    Attributes:
        on_milliseconds: called when Auth has sent milliseconds, but only the first time.
    """

    __slots__ = ("_leeway", "_told", "on_milliseconds")

    def __init__(self, leeway: float = 0) -> None:
        self._leeway = leeway
        self._told = False
        self.on_milliseconds: Callable[[], None] = _nothing

    def __repr__(self) -> str:
        return f"<TokenEnds leeway={self._leeway:g}>"

    def read(self, expires: object, now: float) -> float:
        """Return the unix seconds at which a token ends, which may be infinite; 0 if it does not end.

        Args:
            expires: the field `expires` of Auth's answer; None if it is null or missing.
            now: unix seconds.

        Raises:
            ValueError: `expires` is not a number.
        """
        if isinstance(expires, bool) or not isinstance(expires, int | float | None) or expires != expires:  # noqa: PLR0124 - NaN
            raise ValueError("`expires` is not a number")
        if not expires:
            return 0.0
        try:
            seconds = float(expires)
        except OverflowError:  # a whole number beyond any date
            seconds = math.inf if expires > 0 else -math.inf
        if abs(seconds / 1000 - now) <= MILLISECONDS_SPAN < abs(seconds - now):
            seconds /= 1000
            if not self._told:
                self._told = True
                self.on_milliseconds()
        return seconds + self._leeway or -1.0  # 0 would mean that it does not end


class Revocations(Protocol):
    """Ends what a token has opened. It is for whatever learns that a token is revoked, such as an admin API.

    The caller must also see to it that the token opens nothing new: its verdict may be in the cache.
    """

    def revoke(self, digest: bytes) -> Maybe[int]:
        """End the live sessions of the token with this digest; return their number."""


def _nothing() -> None:
    """Do nothing; the default of the callback."""
