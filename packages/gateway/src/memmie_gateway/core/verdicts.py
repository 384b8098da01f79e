"""Auth's verdicts on tokens, and their cache (spec §2)."""

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
"""Maximum length of a user id in characters."""

_OWN_FIELDS: Final = frozenset({"valid", "user_id", "expires"})
"""The fields of Auth's answer that the gateway itself uses; the others are claims."""

_COMPACT: Final = json.JSONEncoder(
    separators=(",", ":")
)  # ASCII, so that claims could be copied into a header


class AuthUnavailableError(Exception):
    """Auth gave no usable answer, so it is not known whether the token is valid.

    Args:
        words: what happened.
        alive: whether Auth answered, but without a verdict on this token. Such an answer must not open the circuit.
            Otherwise a client with a token on which Auth fails could block all other clients.
    """

    def __init__(self, words: str, *, alive: bool = False) -> None:
        super().__init__(words)
        self.alive = alive


class Refused(enum.Enum):
    """The type of `REFUSED`."""

    REFUSED = "refused"


REFUSED: Final = Refused.REFUSED

Verdict = Identity | Refused
"""The result for one token: the identity that it belongs to, or `REFUSED`."""


def read_verdict(
    response: Response, digest: bytes, *, now: float, on_claims_dropped: Callable[[int], None]
) -> Verdict:
    """Parse Auth's answer.

    Args:
        response: the answer.
        digest: the digest of the token.
        now: unix seconds; an expired token is refused even if Auth says that it is valid.
        on_claims_dropped: called with the size in bytes if the claims are too large to keep.

    Raises:
        AuthUnavailableError: the answer is not a verdict.
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
        raise AuthUnavailableError("Auth answered that the token is valid, but without a usable `user_id`")
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
    """A cache of verdicts by token digest; expired verdicts are dropped, and when it is full the least recently used one.

    Args:
        size: maximum number of verdicts.
        ttl: seconds for which an identity is cached, but never longer than its token is valid.
        refusal_ttl: seconds for which a refusal is cached.
        clock: returns unix seconds.
        secret: the key of the digests, which are useless without it.
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
        """Return the number of verdicts that have not expired."""
        return len(self._verdicts)

    def digest(self, token: str) -> bytes:
        """Return a keyed digest, which identifies a token without revealing it."""
        return hashlib.blake2b(token.encode(), key=self._secret, digest_size=16).digest()

    def get(self, digest: bytes) -> Verdict | None:
        """Return the verdict, or None if there is none or it has expired."""
        try:
            return self._verdicts[digest]  # half the cost of `get`, which looks twice
        except KeyError:
            return None

    def put(self, digest: bytes, verdict: Verdict) -> None:
        """Store a verdict in place of an earlier one."""
        self._verdicts.pop(
            digest, None
        )  # cachetools 6 would keep the old one if the new one has expired already
        self._verdicts[digest] = verdict
