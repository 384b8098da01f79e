"""Admission: from a request to an identity. Draining, limits by address, the token, limits by user.

It is written once, for every route, and goes through in one pass where nothing has to be asked (`core.steps`).
Each step either goes on or raises `RefusedError`; a client that is refused keeps no slot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from memmie_gateway.core.arrival import Arrival
from memmie_gateway.core.credentials import ALL_SOURCES, HEAD_SOURCES, Credentials, find_credentials
from memmie_gateway.core.identity import Authenticator, Identity
from memmie_gateway.core.limits import Rate, Rates, Slot, Slots
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.refusals import RefusedError
from memmie_gateway.core.steps import Maybe, Steps, must_wait

LateToken = Callable[[Credentials], Maybe[Credentials]]
"""Gets the token of a client that sent none with its head; it may raise `RefusedError`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client may have.

    Attributes:
        per_address: connections at once from one address; 0 for no limit.
        per_user: connections at once of one user; 0 for no limit.
        connects: connections per second from one address.
        messages: frames per second of one user.
    """

    per_address: int
    per_user: int
    connects: Rate
    messages: Rate


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the limits are counted. Each may be shared with other gateways.

    Attributes:
        addresses: slots by address.
        users: slots by user.
        connects: rates by address.
        messages: rates by user.
    """

    addresses: Slots
    users: Slots
    connects: Rates
    messages: Rates


class HeldSlots:
    """The slots that a client holds, as one thing that can be given back.

    Args:
        slots: in the order they were acquired.
    """

    __slots__ = ("_slots",)

    def __init__(self, *slots: Slot) -> None:
        self._slots = slots

    def __repr__(self) -> str:
        return f"<HeldSlots {len(self._slots)}>"

    def release(self) -> None:
        """Give them back; a second call does nothing."""
        for slot in self._slots:
            slot.release()


class Admitted(NamedTuple):
    """A client that may come in.

    Attributes:
        identity: who it is.
        credentials: its token, and what of its request may be forwarded.
        slots: what it holds until its connection is gone.
    """

    identity: Identity
    credentials: Credentials
    slots: HeldSlots


class Admission:
    """Decides who may come in.

    Args:
        limits: how much one client may have.
        stores: where that is counted.
        authenticator: validates tokens.
        full: tells whether the gateway has as many connections as it may have.

    Attributes:
        limits: as given.
        stores: as given.
        draining: the gateway is shutting down, and admits nobody.
    """

    def __init__(
        self, limits: Limits, stores: Stores, authenticator: Authenticator, full: Callable[[], bool]
    ) -> None:
        self.limits = limits
        self.stores = stores
        self._authenticator = authenticator
        self._full = full
        self.draining = False

    def __repr__(self) -> str:
        return f"<Admission{' draining' * self.draining}>"

    def ensure_open(self) -> None:
        """Refuse whoever comes while nobody is admitted.

        Raises:
            RefusedError: the gateway is full or draining.
        """
        if self._full():
            raise RefusedError(Cause.GATEWAY_FULL)
        if self.draining:
            raise RefusedError(Cause.DRAINING)

    def admit(self, arrival: Arrival, late_token: LateToken | None = None) -> Steps[Admitted]:
        """Admit a client, in steps that wait only where something has to be asked.

        Args:
            arrival: its request.
            late_token: gets the token where the head has none; None where it cannot come later. With it, a lone
                subprotocol is not a token.

        Raises:
            RefusedError: it may not come in; it then holds nothing.
        """
        stores, limits, address = self.stores, self.limits, arrival.client.limit_key
        took = stores.connects.take(address, limits.connects)
        wait = (yield took) if must_wait(took) else took
        if wait:
            raise RefusedError(Cause.CONNECT_RATE, retry_after=wait)
        acquired = stores.addresses.acquire(address, limits.per_address)
        slot = (yield acquired) if must_wait(acquired) else acquired
        if slot is None:
            raise RefusedError(Cause.ADDRESS_FULL)
        try:
            credentials, identity = yield from self._authenticate(arrival, late_token)
            user_slot = yield from self._limit_by_user(identity)
        except BaseException:
            slot.release()
            raise
        return Admitted(identity, credentials, HeldSlots(slot, user_slot))

    def _authenticate(
        self, arrival: Arrival, late_token: LateToken | None
    ) -> Steps[tuple[Credentials, Identity]]:
        sources = ALL_SOURCES if late_token is None else HEAD_SOURCES
        credentials = find_credentials(arrival.request, sources)
        if credentials.token is None and late_token is not None:
            late = late_token(credentials)
            credentials = (yield late) if must_wait(late) else late
        if credentials.token is None:
            raise RefusedError(Cause.TOKEN_MISSING)
        asked = self._authenticator.authenticate(credentials.token)
        identity = (yield asked) if must_wait(asked) else asked
        return credentials, identity

    def _limit_by_user(self, identity: Identity) -> Steps[Slot]:
        acquired = self.stores.users.acquire(identity.user_id, self.limits.per_user)
        slot = (yield acquired) if must_wait(acquired) else acquired
        if slot is None:
            raise RefusedError(Cause.USER_FULL, user_id=identity.user_id)
        return slot
