"""What Auth said about a token, and how long that may be relied on (spec §2)."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from cachetools import TLRUCache

from memmie_gateway.core.identity import MAX_CLAIMS_BYTES, Identity
from memmie_gateway.core.response import Response

MAX_USER_ID_LENGTH: Final = 256
"""Characters."""

_OWN_FIELDS: Final = frozenset({"valid", "user_id", "expires"})
"""The fields of Auth's answer that the gateway itself uses; the others are claims."""

_COMPACT: Final = json.JSONEncoder(
    separators=(",", ":")
)  # ASCII, so claims could go into a header as they are


class AuthUnavailableError(Exception):
    """Auth gave no answer that can be used; that neither refuses nor admits a client.

    Args:
        words: what Auth did.
        alive: it did answer, but not this question. Such an answer must not open the circuit: a client that found a
            token which Auth fails on could keep everybody out.
    """

    def __init__(self, words: str, *, alive: bool = False) -> None:
        super().__init__(words)
        self.alive = alive


class Refused(enum.Enum):
    """Auth's no."""

    REFUSED = "refused"


REFUSED: Final = Refused.REFUSED

Verdict = Identity | Refused
"""Auth's word on one token: its owner, or a refusal."""


def read_verdict(
    response: Response, digest: bytes, *, now: float, on_claims_dropped: Callable[[int], None]
) -> Verdict:
    """Read Auth's answer.

    Args:
        response: the answer.
        digest: of the token.
        now: unix seconds; a token that has expired is refused whatever Auth says.
        on_claims_dropped: called with the size in bytes if there are more claims than are kept.

    Raises:
        AuthUnavailableError: the answer is neither a yes nor a no.
    """
    status = response.status
    if status == 401:
        return REFUSED
    if status != 200:
        raise AuthUnavailableError(f"Auth answered with status {status}", alive=400 <= status < 500)
    try:
        answer = json.loads(response.body)
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
    claims = _claims(answer)
    if len(claims) > MAX_CLAIMS_BYTES:
        on_claims_dropped(len(claims))
        claims = b""
    return Identity(user_id, expires, digest, claims)


def _claims(answer: dict[str, Any]) -> bytes:
    """Return the claims as compact JSON, b"" for none."""
    claims = {name: value for name, value in answer.items() if name not in _OWN_FIELDS}
    return _COMPACT.encode(claims).encode("ascii") if claims else b""


class VerdictCache:
    """Verdicts by a digest of their token, bounded; the least recently used and the expired ones are dropped.

    Args:
        size: how many verdicts at most.
        ttl: seconds a yes is relied on, but never past the end of the token.
        refusal_ttl: seconds a no is relied on.
        clock: returns unix seconds.
        secret: makes the digests useless outside this process.
    """

    def __init__(
        self, *, size: int, ttl: float, refusal_ttl: float, clock: Callable[[], float], secret: bytes
    ) -> None:
        self._secret = secret

        def valid_until(_: bytes, verdict: Verdict, now: float) -> float:
            if verdict is REFUSED:
                return now + refusal_ttl
            return min(now + ttl, verdict.expires) if verdict.expires else now + ttl

        self._verdicts: TLRUCache[bytes, Verdict] = TLRUCache(size, valid_until, clock)

    def __repr__(self) -> str:
        return f"<VerdictCache {len(self)} of {int(self._verdicts.maxsize)}>"

    def __len__(self) -> int:
        """Return how many verdicts can be relied on now."""
        return len(self._verdicts)

    def digest(self, token: str) -> bytes:
        """Return what names a token here without revealing it: a digest keyed with the secret."""
        return hashlib.blake2b(token.encode(), key=self._secret, digest_size=16).digest()

    def get(self, digest: bytes) -> Verdict | None:
        """Return the verdict if it can still be relied on, or None."""
        try:
            return self._verdicts[digest]  # half the cost of `get`, which looks twice
        except KeyError:
            return None

    def put(self, digest: bytes, verdict: Verdict) -> None:
        """Remember a verdict in place of what was known."""
        self._verdicts.pop(
            digest, None
        )  # cachetools 6 would keep the old one if the new one has expired already
        self._verdicts[digest] = verdict
