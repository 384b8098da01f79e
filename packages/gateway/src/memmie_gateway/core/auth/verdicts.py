"""Auth's verdicts on tokens, and their cache (spec §2)."""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cachetools import TLRUCache

from memmie_gateway.core.auth.identity import MAX_CLAIMS_BYTES, Identity
from memmie_gateway.core.auth.lease import TokenEnds
from memmie_gateway.core.auth.recent import RecentStore
from memmie_gateway.core.http.response import Response

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # in typing from Python 3.13 on

MAX_USER_ID_BYTES: Final = 1024
"""Maximum length of a user id in bytes of UTF-8."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_OWN_FIELDS: Final = frozenset({"valid", "user_id", "expires"})
"""The fields of Auth's answer that the gateway itself uses; the others are claims."""

# In ASCII, so that claims could be copied into a header.
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))


class AuthUnavailableError(Exception):
    """There is no verdict, so it is not known whether the token is valid.

    Args:
        words: what happened.
        failure: whether it counts as a failure of Auth (see `core.auth.circuit`).
    """

    def __init__(self, words: str, *, failure: bool = True) -> None:
        super().__init__(words)
        self.failure = failure


class Refused(enum.Enum):
    """The type of `REFUSED`."""

    REFUSED = "refused"


REFUSED: Final = Refused.REFUSED


class Unusable(NamedTuple):
    """Auth answered about the token as it should, but fields of its answer cannot be used.

    Attributes:
        words: what is wrong, for the log.
    """

    words: str


Verdict = Identity | Refused | Unusable
"""The result for one token: the identity that it belongs to, `REFUSED`, or an answer that cannot be used."""


def read_verdict(
    response: Response,
    digest: bytes,
    *,
    now: float,
    ends: TokenEnds,
    on_claims_dropped: Callable[[int], None],
) -> Verdict:
    """Parse Auth's answer.

    Args:
        response: the answer.
        digest: the digest of the token.
        now: unix seconds; an expired token is refused even if Auth says that it is valid.
        ends: reads when the token ends.
        on_claims_dropped: called with the size in bytes if the claims are too large to keep.

    Raises:
        AuthUnavailableError: the answer is not a verdict. It counts as a failure of Auth if the status is 5xx, or if the
            status is 200 and the body is not a JSON object.
    """
    status = response.status
    if status == 401:
        return REFUSED
    if status != 200:
        raise AuthUnavailableError(f"Auth answered with status {status}", failure=status >= 500)
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        raise AuthUnavailableError("Auth answered with something that is not JSON") from None
    if not isinstance(answer, dict):
        raise AuthUnavailableError("Auth answered with JSON that is not an object")
    valid = answer.get("valid")
    if not isinstance(valid, bool):
        return Unusable("Auth answered without a boolean `valid`")
    if not valid:
        return REFUSED
    user_id = answer.get("user_id")
    if not _is_user_id(user_id):
        return Unusable("Auth answered that the token is valid, but without a usable `user_id`")
    try:
        expires = ends.read(answer.get("expires"), now)
    except ValueError:
        return Unusable("Auth answered with an `expires` that is not a number")
    if expires and expires <= now:
        return REFUSED
    claims = _claims(answer)
    if len(claims) > MAX_CLAIMS_BYTES:
        on_claims_dropped(len(claims))
        claims = b""
    return Identity(user_id, expires, digest, claims)


def _is_user_id(value: object) -> TypeIs[str]:
    """Tell whether a value is a string of 1 to `MAX_USER_ID_BYTES` bytes of UTF-8 without control characters."""
    if not isinstance(value, str) or not value or _CONTROLS.search(value):
        return False
    try:
        return len(value.encode()) <= MAX_USER_ID_BYTES
    except UnicodeEncodeError:  # a surrogate
        return False


def _claims(answer: dict[str, Any]) -> bytes:
    """Return the claims as compact JSON, b"" for none."""
    claims = {name: value for name, value in answer.items() if name not in _OWN_FIELDS}
    return _COMPACT.encode(claims).encode("ascii") if claims else b""


class VerdictCache:
    """A cache of verdicts by token digest.

    Identities have a store of their own, so that no number of invalid tokens removes one of them. It keeps an identity
    for longer than its TTL, to be used only while Auth gives no verdict (see `stale`).

    Args:
        size: maximum number of verdicts in each store. The least recently used identity is removed first, and the oldest
            of the other verdicts.
        ttl: seconds for which an identity is cached, but never longer than its token is valid.
        refusal_ttl: seconds for which any other verdict is cached.
        stale_seconds: seconds after `ttl` for which an identity is kept, but never longer than its token is valid.
        clock: returns unix seconds, by which tokens end.
        elapsed: returns seconds of a monotonic clock, by which verdicts become old, however `clock` is set.
        secret: the key of the digests, which are useless without it.
    """

    def __init__(
        self,
        *,
        size: int,
        ttl: float,
        refusal_ttl: float,
        stale_seconds: float = 0,
        clock: Callable[[], float],
        elapsed: Callable[[], float],
        secret: bytes,
    ) -> None:
        self._ttl = ttl
        self._refusal_ttl = refusal_ttl
        self._stale_seconds = stale_seconds
        self._elapsed = elapsed
        self._keyed = hashlib.blake2b(key=secret, digest_size=16)
        keep = ttl + stale_seconds

        def kept_until(_: bytes, known: tuple[Identity, float], now: float) -> float:
            return min(now + keep, known[0].expires) if known[0].expires else now + keep

        # With the time at which its TTL ends, by `elapsed`. One store for both times, because each entry costs about 200 bytes.
        self._identities: TLRUCache[bytes, tuple[Identity, float]] = TLRUCache(size, kept_until, clock)
        self._others: RecentStore[Refused | Unusable] = RecentStore(size)

    def __repr__(self) -> str:
        return f"<VerdictCache {len(self)}>"

    def __len__(self) -> int:
        """Return the number of verdicts that have not expired, with those that only `stale` returns."""
        return len(self._identities) + self._others.count(self._elapsed())

    def digest(self, token: str) -> bytes:
        """Return a keyed digest, which identifies a token without revealing it."""
        keyed = self._keyed.copy()  # half the cost of making one
        keyed.update(token.encode())
        return keyed.digest()

    def get(self, digest: bytes) -> Verdict | None:
        """Return the verdict, or None if there is none or it has expired."""
        try:
            identity, until = self._identities[digest]  # half the cost of `get`, which looks twice
        except KeyError:
            return self._others.get(digest, self._elapsed())
        return identity if self._elapsed() < until else None

    def stale(self, digest: bytes) -> Identity | None:
        """Return the last identity of a token, also after its TTL, if no other verdict came later; None if there is none."""
        known = self._identities.get(digest)
        if known is None or self._elapsed() >= known[1] + self._stale_seconds:
            return None
        return known[0]

    def put(self, digest: bytes, verdict: Verdict) -> None:
        """Store a verdict in place of an earlier one."""
        now = self._elapsed()
        # cachetools 6 would keep the old one if the new one has expired already
        self._identities.pop(digest, None)
        if isinstance(verdict, Identity):
            self._identities[digest] = verdict, now + self._ttl
            self._others.drop(digest)
        else:
            self._others.put(digest, verdict, until=now + self._refusal_ttl, now=now)
