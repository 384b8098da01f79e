"""Admission of an HTTP request that is forwarded: the same steps as for a WebSocket, with limits of its own.

A response that is still streaming after a while is a live connection, and gets a place under the limits of WebSockets.
"""

from __future__ import annotations

from dataclasses import dataclass

from memmie_gateway.core.auth.identity import Authenticator, Identity
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.routes import HttpRoute
from memmie_gateway.core.limits import HeldSlots, Rate, Rates, Slot, Slots
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import ready
from memmie_gateway.net.ingress.admission import Admission


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits for HTTP requests that are forwarded.

    Attributes:
        per_address: maximum number of concurrent requests from one address; 0 for no limit.
        by_address: rate of requests from one address.
        by_user: rate of requests of one user.
        open_by_address: rate of requests without authentication from one address.
    """

    per_address: int
    by_address: Rate
    by_user: Rate
    open_by_address: Rate


@dataclass(frozen=True, slots=True)
class HttpStores:
    """The stores that count for these limits.

    Attributes:
        addresses: slots by address.
        by_address: rates by address.
        by_user: rates by user.
        open_by_address: rates of requests without authentication, by address.
    """

    addresses: Slots
    by_address: Rates
    by_user: Rates
    open_by_address: Rates


class HttpAdmission:
    """Admits or refuses HTTP requests.

    Args:
        limits: the limits.
        stores: the stores that count for them.
        admission: admits WebSockets; it knows whether the gateway is full or draining.
        authenticator: validates tokens.
    """

    def __init__(
        self, limits: HttpLimits, stores: HttpStores, admission: Admission, authenticator: Authenticator
    ) -> None:
        self._limits = limits
        self._stores = stores
        self._admission = admission
        self._authenticator = authenticator

    def __repr__(self) -> str:
        return f"<HttpAdmission {self._admission!r}>"

    @property
    def draining(self) -> bool:
        """Whether the gateway is shutting down."""
        return self._admission.draining

    async def enter(self, arrival: Arrival, route: HttpRoute) -> Slot:
        """Return the slot of a request, unless the limits by address refuse it.

        Raises:
            RefusedError: the gateway is full or draining, or a limit of the address is reached.
        """
        self._admission.ensure_open()
        limits, stores, address = self._limits, self._stores, arrival.client.limit_key
        rates, quota = stores.by_address, limits.by_address
        if not route.authenticated:
            rates, quota = stores.open_by_address, limits.open_by_address
        await _take(rates, address, quota)
        slot = await ready(stores.addresses.acquire(address, limits.per_address))
        if slot is None:
            raise RefusedError(Cause.ADDRESS_FULL)
        return slot

    async def identify(self, arrival: Arrival, credentials: Credentials) -> Identity:
        """Return the user of a request.

        Raises:
            RefusedError: the token is missing or invalid, Auth cannot validate it, or the user sends requests too fast.
        """
        if credentials.token is None:
            raise RefusedError(Cause.TOKEN_MISSING)
        identity = await ready(self._authenticator.authenticate(credentials.token, arrival.client.limit_key))
        try:
            await _take(self._stores.by_user, identity.user_id, self._limits.by_user)
        except RefusedError as error:
            error.user_id = identity.user_id
            raise
        return identity

    async def keep(self, address: str, user_id: str) -> HeldSlots:
        """Return the places of a live response under the limits of live connections; without a user, that of the address.

        Raises:
            RefusedError: one of the limits is reached.
        """
        stores, limits = self._admission.stores, self._admission.limits
        slot = await ready(stores.addresses.acquire(address, limits.per_address))
        if slot is None:
            raise RefusedError(Cause.ADDRESS_FULL)
        if not user_id:
            return HeldSlots(slot)
        try:
            user_slot = await ready(stores.users.acquire(user_id, limits.per_user))
        except BaseException:
            slot.release()
            raise
        if user_slot is None:
            slot.release()
            raise RefusedError(Cause.USER_FULL)
        return HeldSlots(slot, user_slot)


async def _take(rates: Rates, key: str, quota: Rate) -> None:
    wait = await ready(rates.take(key, quota))
    if wait:
        raise RefusedError(Cause.REQUEST_RATE, retry_after=wait)
