"""Renewal: a client moves its live connections from a token that will expire to a new one (spec §1)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import AuthorizationHeader
from memmie_gateway.core.http.origins import Origins
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.limits import SlotCounts
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import Maybe, ready, run
from memmie_gateway.net.ingress.admission import Admission

PATH: Final = "/token/renew"

MOST_AT_ONCE: Final = 16
"""Maximum number of renewals from one address at the same time, because each may be sending its body slowly.

As with other limits of an address that are not counted in WebSockets, there is none if MAX_CONNECTIONS_PER_IP is 0."""

ReadBody = Callable[[], Awaitable[bytes]]
"""Reads the body of a request; it raises `RefusedError` if the body is too large or too late."""

_BEARER: Final = AuthorizationHeader()


class Tokens(Protocol):
    """Validates tokens, and makes digests of them."""

    def authenticate(self, token: str, address: str) -> Maybe[Identity]:
        """See `core.auth.identity.Authenticator`."""

    def digest(self, token: str) -> bytes | None:
        """Return the digest that identities have; None if the text does not have the form of a token."""


Move = Callable[[bytes, Identity, str], int]
"""Moves live sessions to another token; see `Leases.renew`."""


class Renewal:
    """Serves `POST /token/renew`.

    Args:
        admission: limits the rate of each address.
        tokens: validates the new token.
        move: moves the sessions of the old token.
        allowed_origins: origins of pages that may renew; "*" for all.
    """

    def __init__(
        self, admission: Admission, tokens: Tokens, move: Move, *, allowed_origins: tuple[str, ...]
    ) -> None:
        self._admission = admission
        self._tokens = tokens
        self._move = move
        self._origins = Origins(allowed_origins)
        self._under_way = SlotCounts()

    def __repr__(self) -> str:
        return f"<Renewal {self._under_way!r}>"

    def origin(self, arrival: Arrival) -> str:
        """Return the value of `Access-Control-Allow-Origin` for the answer; "" if the request has no origin.

        Raises:
            RefusedError: pages of this origin may not renew.
        """
        if not self._origins.allow(arrival.request.headers):
            raise self._origins.refusal(arrival.request.headers)
        origins = arrival.request.headers.all(b"origin")
        if not origins:
            return ""
        return "*" if self._origins.every else origins[0].decode("latin-1")

    async def renew(self, arrival: Arrival, read_body: ReadBody) -> tuple[str, int]:
        """Move the live connections of the old token in the body to the new token in the header.

        The number is 0 alike if the old token is unknown, has ended, or belongs to another user. So nobody learns from
        it whether a token exists.

        Returns:
            The user and the number of connections that were moved.

        Raises:
            RefusedError: the client is refused.
        """
        if self._admission.draining:
            raise RefusedError(Cause.DRAINING)
        address = arrival.client.limit_key
        await ready(run(self._admission.limit_rate(address)))
        token = next(iter(_BEARER.find(arrival.request)), None)
        if token is None:
            raise RefusedError(Cause.TOKEN_MISSING)
        if not self._under_way.acquire(address, MOST_AT_ONCE if self._admission.limits.per_address else 0):
            raise RefusedError(Cause.ADDRESS_FULL)
        try:
            old = _read(await read_body())
            identity = await ready(self._tokens.authenticate(token, address))
        finally:
            self._under_way.release(address)
        digest = self._tokens.digest(old)
        return identity.user_id, self._move(digest, identity, token) if digest is not None else 0


def _read(body: bytes) -> str:
    """Return the old token."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    token = fields.get("token") if isinstance(fields, dict) else None
    if not isinstance(token, str) or not token:
        raise RefusedError(Cause.BAD_REQUEST, 'the body must be {"token": OLD}')
    return token
