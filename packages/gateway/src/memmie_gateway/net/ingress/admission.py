"""Admission of a client: drain, limits by address, token, limits by user.

It is the same for every route, and is synchronous unless a step has to wait (see `core.steps`). A step that refuses the
client raises `RefusedError`; a refused client keeps no slot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from memmie_gateway.core.auth.identity import Authenticator, Identity
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import (
    ALL_SOURCES,
    FIRST_MESSAGE_SOURCES,
    Credentials,
    find_credentials,
)
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.limits import HeldSlots, Rate, Rates, Slot, Slots
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.record import record
from memmie_gateway.core.steps import Maybe, Steps, must_wait

LateToken = Callable[[Credentials], Maybe[Credentials]]
"""A function that gets the token of a client without a token in its head; it may raise `RefusedError`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for clients.

    Attributes:
        per_address: maximum number of concurrent connections from one address; 0 for no limit.
        per_user: maximum number of concurrent connections of one user; 0 for no limit.
        connects: rate of handshakes from one address.
        messages: rate of frames from one user.
    """

    per_address: int
    per_user: int
    connects: Rate
    messages: Rate


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that count for the limits.

    Attributes:
        addresses: slots by address.
        users: slots by user.
        connects: rates of handshakes by address.
        messages: rates of frames by user.
    """

    addresses: Slots
    users: Slots
    connects: Rates
    messages: Rates


def _nothing_to_replace(_: str) -> None:
    """Return None; the default if connections are not replaced."""


class Replacement(Slot, Protocol):
    """A replacement: the place of a connection that a new one of the same user may take (see `net.sessions`)."""

    def carry_out(self) -> bool:
        """End the old connection; return False if it is alive again. Without this, `release` ends nothing."""


@record
class Admitted:
    """An admitted client.

    Attributes:
        identity: its identity.
        credentials: its token, and the parts of its request that may be forwarded.
        slots: its slots, which are released when its connection ends.
        replacement: the connection that it replaces as soon as a backend has accepted it; None if there is room.
    """

    identity: Identity
    credentials: Credentials
    slots: HeldSlots
    replacement: Replacement | None = None


class Admission:
    """Admits or refuses clients.

    Args:
        limits: the limits for clients.
        stores: the stores that count for the limits.
        authenticator: validates tokens.
        full: returns whether the gateway has reached its maximum number of connections.
        replace: begins a replacement for a user at the limit; returns None if no connection can be replaced.

    Attributes:
        limits: as given.
        stores: as given.
        draining: whether the gateway is shutting down, so that it admits no clients.
    """

    def __init__(
        self,
        limits: Limits,
        stores: Stores,
        authenticator: Authenticator,
        full: Callable[[], bool],
        replace: Callable[[str], Replacement | None] = _nothing_to_replace,
    ) -> None:
        self.limits = limits
        self.stores = stores
        self._authenticator = authenticator
        self._full = full
        self._replace = replace
        self.draining = False

    def __repr__(self) -> str:
        return f"<Admission{' draining' * self.draining}>"

    def ensure_open(self) -> None:
        """Refuse the client if the gateway admits no clients now.

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
            arrival: the client's request.
            late_token: gets the token if the head has none; None if the token must be in the head. With this function,
                a lone subprotocol is a token only if it looks like one.

        Raises:
            RefusedError: the client is refused, and holds no slots.
        """
        stores, limits, address = self.stores, self.limits, arrival.client.limit_key
        yield from self.limit_rate(address)
        acquired = stores.addresses.acquire(address, limits.per_address)
        slot = (yield acquired) if must_wait(acquired) else acquired
        if slot is None:
            raise RefusedError(Cause.ADDRESS_FULL)
        try:
            credentials, identity = yield from self._authenticate(arrival, address, late_token)
            acquired = stores.users.acquire(identity.user_id, limits.per_user)
            user_slot = (yield acquired) if must_wait(acquired) else acquired
            if user_slot is None:
                return (yield from self._admit_instead(identity, credentials, slot))
        except BaseException:
            slot.release()
            raise
        return Admitted(identity, credentials, HeldSlots(slot, user_slot))

    def limit_rate(self, address: str) -> Steps[None]:
        """Refuse a client that connects too often.

        Raises:
            RefusedError: the rate of this key for limits by address is exceeded.
        """
        took = self.stores.connects.take(address, self.limits.connects)
        wait = (yield took) if must_wait(took) else took
        if wait:
            raise RefusedError(Cause.CONNECT_RATE, retry_after=wait)

    def refuse_invalid(self, arrival: Arrival, error: RefusedError) -> Steps[NoReturn]:
        """Refuse an invalid request, which counts against the connection rate as a valid one does.

        Raises:
            RefusedError: `error`, or the rate is exceeded.
        """
        yield from self.limit_rate(arrival.client.limit_key)
        raise error

    def limit_address(self, address: str) -> Steps[None]:
        """Refuse a client that the limits by address refuse; it gets no slot.

        Raises:
            RefusedError: this key for limits by address connects too often, or has too many connections.
        """
        yield from self.limit_rate(address)
        acquired = self.stores.addresses.acquire(address, self.limits.per_address)
        slot = (yield acquired) if must_wait(acquired) else acquired
        if slot is None:
            raise RefusedError(Cause.ADDRESS_FULL)
        slot.release()

    def _authenticate(
        self, arrival: Arrival, address: str, late_token: LateToken | None
    ) -> Steps[tuple[Credentials, Identity]]:
        sources = ALL_SOURCES if late_token is None else FIRST_MESSAGE_SOURCES
        credentials = find_credentials(arrival.request, sources)
        if credentials.token is None and late_token is not None:
            late = late_token(credentials)
            credentials = (yield late) if must_wait(late) else late
        if credentials.token is None:
            raise RefusedError(Cause.TOKEN_MISSING)
        asked = self._authenticator.authenticate(credentials.token, address)
        identity = (yield asked) if must_wait(asked) else asked
        return credentials, identity

    def _admit_instead(self, identity: Identity, credentials: Credentials, slot: Slot) -> Steps[Admitted]:
        """Admit a client of a user at the limit in the place of another connection, one above the limit for the moment."""
        user_id = identity.user_id
        replacement = self._replace(user_id)
        if replacement is not None:
            held = HeldSlots(slot, replacement)
            try:
                acquired = self.stores.users.acquire(user_id, self.limits.per_user + 1)
                user_slot = (yield acquired) if must_wait(acquired) else acquired
            except BaseException:
                held.release()
                raise
            if user_slot is not None:
                return Admitted(identity, credentials, HeldSlots(slot, user_slot, replacement), replacement)
            held.release()
        raise RefusedError(Cause.USER_FULL, user_id=user_id)
