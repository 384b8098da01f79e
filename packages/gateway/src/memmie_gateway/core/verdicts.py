"""What Auth said about a token, and how long that may be believed (spec §2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final, NamedTuple

from cachetools import TLRUCache

MAX_USER_ID_LENGTH: Final = 256
"""Characters."""


class AuthUnavailableError(Exception):
    """Auth gave no answer that can be used: never a refusal, never a free pass.

    Args:
        words: what it did.
        alive: it did answer, only not to this question. Such an answer must not open the breaker: a client that
            found a token Auth chokes on could shut the door to everybody.
    """

    def __init__(self, words: str, *, alive: bool = False) -> None:
        super().__init__(words)
        self.alive = alive


class Verdict(NamedTuple):
    """Auth's word on one token.

    Attributes:
        valid: whether its owner may connect.
        user_id: who that is; "" for a refusal.
        expires: unix seconds at which the token ends; 0 for a refusal or where Auth names no end.
    """

    valid: bool
    user_id: str = ""
    expires: float = 0

    def __repr__(self) -> str:
        """Leave out whose token it is."""
        return f"Verdict(valid={self.valid}, expires={self.expires})"


REFUSED: Final = Verdict(valid=False)


def read_verdict(status: int, body: bytes, now: float) -> Verdict:
    """Read Auth's answer.

    Args:
        status: the HTTP status.
        body: the body.
        now: unix seconds; a token that has expired is refused whatever Auth says.

    Raises:
        AuthUnavailableError: the answer is neither a yes nor a no.
    """
    if status == 401:
        return REFUSED
    if status != 200:
        raise AuthUnavailableError(f"Auth answered with status {status}", alive=400 <= status < 500)
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise AuthUnavailableError("Auth answered with something that is not JSON") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("valid"), bool):
        raise AuthUnavailableError("Auth answered without a boolean `valid`")
    if not answer["valid"]:
        return REFUSED
    user_id, expires = answer.get("user_id"), answer.get("expires", 0)
    if (
        not isinstance(user_id, str)
        or not 0 < len(user_id) <= MAX_USER_ID_LENGTH
        or not user_id.isprintable()
    ):
        raise AuthUnavailableError("Auth answered `valid` without a usable `user_id`")
    if isinstance(expires, bool) or not isinstance(expires, int | float) or expires != expires:  # noqa: PLR0124 - NaN
        raise AuthUnavailableError("Auth answered with an `expires` that is not a number")
    if expires and expires <= now:
        return REFUSED
    return Verdict(valid=True, user_id=user_id, expires=expires)


class VerdictCache:
    """Verdicts by a digest of their token, bounded; the least recently used and the outdated are forgotten.

    Args:
        size: how many verdicts at most.
        ttl: seconds a yes is believed, but never past the token's end.
        refusal_ttl: seconds a no is believed.
        clock: returns unix seconds.
        secret: makes the digests useless outside this process.
    """

    def __init__(
        self, *, size: int, ttl: float, refusal_ttl: float, clock: Callable[[], float], secret: bytes
    ) -> None:
        self._secret = secret

        def believed_until(_: bytes, verdict: Verdict, now: float) -> float:
            if not verdict.valid:
                return now + refusal_ttl
            return min(now + ttl, verdict.expires) if verdict.expires else now + ttl

        self._verdicts: TLRUCache[bytes, Verdict] = TLRUCache(size, believed_until, clock)

    def __repr__(self) -> str:
        return f"<VerdictCache {len(self)} of {int(self._verdicts.maxsize)}>"

    def __len__(self) -> int:
        """Return how many verdicts are believed now."""
        return len(self._verdicts)

    def digest(self, token: str) -> bytes:
        """Return the name under which a token is known: of no use to anybody else."""
        return hashlib.blake2b(token.encode(), key=self._secret, digest_size=16).digest()

    def get(self, digest: bytes) -> Verdict | None:
        """Return the verdict that is still believed, or None."""
        return self._verdicts.get(digest)

    def put(self, digest: bytes, verdict: Verdict) -> None:
        """Remember a verdict in place of what was known."""
        self._verdicts.pop(digest, None)  # cachetools 6 would keep it where the new one is outdated at once
        self._verdicts[digest] = verdict
