"""Admission: which clients are admitted, which are refused and why, and that a refused client keeps no slot.

Everything is tested with steps that know their answer and with steps that have to wait, in every combination: it must
make no difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from tests.net.pair import until
from tests.unit.core.handshakes import CLIENT, Values, arrival, request

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.client_address import Client
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.limits import HeldSlots, Rate, Slot, TokenBucket
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import Maybe, ready, run
from memmie_gateway.net.ingress.admission import Admission, Admitted, Limits, Stores
from memmie_gateway.net.stores.local import LocalRates, LocalSlots

T = TypeVar("T")

NO_LIMIT = Rate(0, 1)


async def turn(step: Callable[[], T]) -> T:
    """Take a step after one turn of the loop."""
    await asyncio.sleep(0)
    return step()


@dataclass
class RemoteSlots:
    """Slots that are counted elsewhere: the answer takes a turn of the loop."""

    local: LocalSlots = field(default_factory=LocalSlots)

    def acquire(self, key: str, limit: int) -> Maybe[Slot | None]:
        return turn(lambda: self.local.acquire(key, limit))


@dataclass
class RemoteRates:
    """Rates that are counted elsewhere; buckets are local, because they never wait."""

    local: LocalRates = field(default_factory=lambda: LocalRates(100))

    def take(self, key: str, quota: Rate) -> Maybe[float]:
        return turn(lambda: self.local.take(key, quota))

    def bucket(self, key: str, quota: Rate) -> TokenBucket | None:
        return self.local.bucket(key, quota)


@dataclass
class ScriptedAuthenticator:
    """Knows the users u1, u2 … by the tokens T1, T2 …, and raises the errors that a test gives.

    Attributes:
        later: whether it has to wait for its answers.
        error: raised for every token.
        asked: the tokens it was asked about.
        addresses: the keys of the addresses that they came from.
    """

    later: bool = False
    error: BaseException | None = None
    asked: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def authenticate(self, token: str, address: str) -> Maybe[Identity]:
        self.asked.append(token)
        self.addresses.append(address)
        return turn(lambda: self._answer(token)) if self.later else self._answer(token)

    def _answer(self, token: str) -> Identity:
        if self.error is not None:
            raise self.error
        if not token.startswith("T"):
            raise RefusedError(Cause.TOKEN_REFUSED)
        return Identity(f"u{token[1:]}", digest=token.encode())


@dataclass
class Door:
    """An admission, and what it counts with.

    Attributes:
        admission: what is tested.
        auth: validates its tokens.
        addresses: counts its slots by address.
        users: counts its slots by user.
        waits: whether any step has to wait.
    """

    admission: Admission
    auth: ScriptedAuthenticator
    addresses: LocalSlots
    users: LocalSlots
    waits: bool

    def start(self, arrived: Arrival, late: str | BaseException | None) -> Maybe[Admitted]:
        """Begin to admit a client; `late` is its late token, or the error instead of one."""
        late_token = None if late is None else (lambda credentials: self._late(late, credentials))
        return run(self.admission.admit(arrived, late_token))

    async def admit(self, arrived: Arrival, late: str | BaseException | None = None) -> Admitted:
        """Admit a client."""
        outcome = self.start(arrived, late)
        assert isinstance(outcome, Awaitable) is self.waits
        return await ready(outcome)

    async def refused(self, arrived: Arrival, late: str | BaseException | None = None) -> RefusedError:
        """Return why a client is not admitted; it must not have changed what is held."""
        before = self.held
        with pytest.raises(RefusedError) as caught:
            await ready(self.start(arrived, late))
        assert self.held == before
        return caught.value

    @property
    def held(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many slots are taken, by address and by user."""
        return dict(self.addresses._counts._held), dict(self.users._counts._held)

    def _late(self, late: str | BaseException, credentials: Credentials) -> Maybe[Credentials]:
        def answer() -> Credentials:
            if isinstance(late, BaseException):
                raise late
            return replace(credentials, token=late)

        return turn(answer) if self.auth.later else answer()


MakeDoor = Callable[..., Door]
"""`door = make_door(per_address=1)`; the other limits are off."""


@pytest.fixture(
    params=[(), ("auth",), ("stores",), ("auth", "stores")],
    ids=["nothing waits", "Auth waits", "the stores wait", "everything waits"],
)
def make_door(request: pytest.FixtureRequest) -> MakeDoor:
    waiting: tuple[str, ...] = request.param

    def make(
        *, per_address: int = 0, per_user: int = 0, connects: Rate = NO_LIMIT, full: bool = False
    ) -> Door:
        auth = ScriptedAuthenticator(later="auth" in waiting)
        addresses, users, rates = LocalSlots(), LocalSlots(), LocalRates(100)
        limits = Limits(per_address, per_user, connects, messages=NO_LIMIT)
        stores = Stores(addresses, users, rates, rates)
        if "stores" in waiting:
            remote = RemoteRates(rates)
            stores = Stores(RemoteSlots(addresses), RemoteSlots(users), remote, remote)
        admission = Admission(limits, stores, auth, lambda: full)
        return Door(admission, auth, addresses, users, bool(waiting))

    return make


def client(
    token: str | None = "T1",  # noqa: S107 - made up
    address: str = CLIENT.address,
    protocol: bytes = b"",
) -> Arrival:
    """Let a client arrive that sends its token in a header."""
    changes: Values = {b"sec-websocket-protocol": (protocol,) if protocol else ()}
    if token is not None:
        changes[b"authorization"] = (f"Bearer {token}".encode(),)
    return arrival(request(changes), client=Client(address, address, trusted_peer=False))


HERE, THERE = CLIENT.address, "2001:db8::1"


# Clients that are admitted.


async def test_a_client_with_a_valid_token_is_admitted_and_holds_its_slots(make_door: MakeDoor) -> None:
    door = make_door(per_address=1, per_user=1, connects=Rate(1, 1))
    admitted = await door.admit(client())
    assert admitted.identity == Identity("u1", digest=b"T1")
    assert admitted.credentials.token == "T1"
    assert b"authorization" not in dict(admitted.credentials.fields)
    assert door.auth.asked == ["T1"]
    assert door.held == ({HERE: 1}, {"u1": 1})
    for _ in range(2):
        admitted.slots.release()
        assert door.held == ({}, {})


async def test_slots_are_counted_without_limits_too(make_door: MakeDoor) -> None:
    door = make_door()
    admitted = [await door.admit(client()) for _ in range(3)]
    admitted.append(await door.admit(client("T2", THERE)))
    assert door.held == ({HERE: 3, "2001:db8::/64": 1}, {"u1": 3, "u2": 1})
    assert door.auth.addresses == [HERE, HERE, HERE, "2001:db8::/64"]
    for client_in in admitted:
        client_in.slots.release()
    assert door.held == ({}, {})


async def test_what_was_given_back_is_there_for_the_next(make_door: MakeDoor) -> None:
    door = make_door(per_address=1, per_user=1)
    for _ in range(3):
        (await door.admit(client())).slots.release()
    assert door.held == ({}, {})


async def test_a_lone_subprotocol_is_a_token_where_none_can_come_late(make_door: MakeDoor) -> None:
    door = make_door()
    admitted = await door.admit(client(None, protocol=b"T7"))
    assert (admitted.identity.user_id, admitted.credentials.subprotocols) == ("u7", ())


# Clients that are refused.


async def test_connecting_too_often_from_one_address(make_door: MakeDoor) -> None:
    door = make_door(connects=Rate(0.1, 2))
    for _ in range(2):
        await door.admit(client())
    error = await door.refused(client())
    assert error.cause is Cause.CONNECT_RATE
    assert error.retry_after == pytest.approx(10, abs=1)
    assert door.auth.asked == ["T1", "T1"], "Auth is not asked"
    await door.admit(client(address=THERE))


async def test_a_refused_client_has_used_its_rate_up_too(make_door: MakeDoor) -> None:
    """Else a wrong token could be tried any number of times."""
    door = make_door(connects=Rate(0.1, 2))
    causes = [(await door.refused(client("wrong"))).cause for _ in range(3)]
    assert causes == [Cause.TOKEN_REFUSED, Cause.TOKEN_REFUSED, Cause.CONNECT_RATE]


async def test_too_many_from_one_address(make_door: MakeDoor) -> None:
    door = make_door(per_address=2)
    first, _ = await door.admit(client("T1")), await door.admit(client("T2"))
    assert (await door.refused(client("T3"))).cause is Cause.ADDRESS_FULL
    assert door.auth.asked == ["T1", "T2"], "Auth is not asked"
    await door.admit(client("T3", THERE))
    first.slots.release()
    await door.admit(client("T3"))


async def test_too_many_of_one_user(make_door: MakeDoor) -> None:
    door = make_door(per_user=2)
    first, _ = await door.admit(client()), await door.admit(client(address=THERE))
    error = await door.refused(client())
    assert (error.cause, error.user_id) == (Cause.USER_FULL, "u1")
    await door.admit(client("T2"))
    first.slots.release()
    await door.admit(client())


@pytest.mark.parametrize(
    ("arrived", "cause", "asked"),
    [
        pytest.param(client(None), Cause.TOKEN_MISSING, [], id="no token"),
        pytest.param(client("wrong"), Cause.TOKEN_REFUSED, ["wrong"], id="a wrong one"),
        pytest.param(client(None, protocol=b"v1, v2"), Cause.TOKEN_MISSING, [], id="only subprotocols"),
    ],
)
async def test_a_client_without_a_valid_token(
    make_door: MakeDoor, arrived: Arrival, cause: Cause, asked: list[str]
) -> None:
    door = make_door(per_address=1, per_user=1)
    for count in (1, 2):
        assert (await door.refused(arrived)).cause is cause
        assert door.auth.asked == asked * count
    await door.admit(client())


async def test_auth_cannot_answer(make_door: MakeDoor) -> None:
    door = make_door(per_address=1, per_user=1)
    door.auth.error = RefusedError(Cause.AUTH_UNAVAILABLE, internal="no answer", retry_after=7)
    assert await door.refused(client()) is door.auth.error, "with its words and its time"
    door.auth.error = None
    await door.admit(client())


async def test_a_mistake_of_ours_costs_no_slot(make_door: MakeDoor) -> None:
    door = make_door(per_address=1, per_user=1)
    door.auth.error = LookupError("a mistake")
    with pytest.raises(LookupError, match="a mistake"):
        await ready(door.start(client(), None))
    assert door.held == ({}, {})


# A token that comes late.


async def test_a_late_token(make_door: MakeDoor) -> None:
    door = make_door(per_address=1, per_user=1)
    admitted = await door.admit(client(None, protocol=b"v1"), late="T5")
    assert (admitted.identity.user_id, admitted.credentials.token) == ("u5", "T5")
    assert admitted.credentials.subprotocols == ("v1",), "a lone subprotocol is not a token then"
    assert door.held == ({HERE: 1}, {"u5": 1})


async def test_a_token_in_the_head_is_not_waited_for(make_door: MakeDoor) -> None:
    door = make_door()
    late = AssertionError("it must not be asked for")
    assert (await door.admit(client(), late=late)).identity.user_id == "u1"


@pytest.mark.parametrize("late", ["wrong", RefusedError(Cause.AUTH_LATE, "closed before the auth message")])
async def test_a_late_token_that_is_not_valid(make_door: MakeDoor, late: str | RefusedError) -> None:
    door = make_door(per_address=1, per_user=1)
    error = await door.refused(client(None), late=late)
    assert error is late or error.cause is Cause.TOKEN_REFUSED
    await door.admit(client())


async def test_the_address_holds_its_slot_while_the_token_is_waited_for(make_door: MakeDoor) -> None:
    """A client that sends no token must not be able to wait any number of times at once."""
    door = make_door(per_address=1)
    never: Maybe[Credentials] = asyncio.get_running_loop().create_future()
    outcome = run(door.admission.admit(client(None), lambda _: never))
    assert isinstance(outcome, Awaitable)
    waiting = asyncio.ensure_future(outcome)
    await asyncio.sleep(0)  # it has begun in any case (see `core.steps.run`)
    await until(lambda: door.held == ({HERE: 1}, {}))
    assert (await door.refused(client())).cause is Cause.ADDRESS_FULL
    waiting.cancel()
    await asyncio.wait([waiting])
    assert door.held == ({}, {})


# A client that leaves while it is admitted.


async def test_a_cancellation_at_any_step_gives_back_what_was_taken(make_door: MakeDoor) -> None:
    door = make_door(per_address=1, per_user=1)
    outcomes = []
    for turns in range(10):
        outcome = run(door.admission.admit(client()))
        if not isinstance(outcome, Awaitable):
            outcome.slots.release()
            break
        task = asyncio.ensure_future(outcome)
        for _ in range(turns + 1):  # it has begun in any case (see `core.steps.run`)
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        outcomes.append(task.cancelled())
        if not task.cancelled():
            task.result().slots.release()
        assert door.held == ({}, {})
    assert outcomes == sorted(outcomes, reverse=True), "cancelled until it is done"
    assert not door.waits or (outcomes[0], outcomes[-1]) == (True, False)


# While nobody is admitted.


async def test_a_client_that_comes_while_it_is_open(make_door: MakeDoor) -> None:
    door = make_door()
    door.admission.ensure_open()
    assert repr(door.admission) == "<Admission>"


async def test_a_client_that_comes_while_it_drains(make_door: MakeDoor) -> None:
    door = make_door()
    door.admission.draining = True
    with pytest.raises(RefusedError) as caught:
        door.admission.ensure_open()
    assert caught.value.cause is Cause.DRAINING
    assert repr(door.admission) == "<Admission draining>"


async def test_a_client_that_comes_while_it_is_full(make_door: MakeDoor) -> None:
    door = make_door(full=True)
    door.admission.draining = True
    with pytest.raises(RefusedError) as caught:
        door.admission.ensure_open()
    assert caught.value.cause is Cause.GATEWAY_FULL


# Slots as one thing.


def test_held_slots_are_given_back_together_and_once() -> None:
    addresses, users = LocalSlots(), LocalSlots()
    slots = [addresses.acquire("a", 0), users.acquire("u", 0)]
    addresses.acquire("a", 0)
    held = HeldSlots(*(slot for slot in slots if slot is not None))
    assert repr(held) == "<HeldSlots 2>"
    for _ in range(2):
        held.release()
        assert addresses._counts.held("a") == 1
        assert users._counts.held("u") == 0
