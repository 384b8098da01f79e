"""Sessions are found by id, user, token, address and backend, and no key outlives its last session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from tests.net.backends import pool_of
from tests.net.pair import Dial, Join, StartGateway, nobody_is_left, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.sessions.session import Session
from memmie_harness.conformance.peers import Peer, upgrade_request

Enter = Callable[..., Awaitable[tuple[Peer, Session]]]


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
def enter(gateway: Gateway, dial: Dial, studio: ScriptedStudio) -> Enter:
    """`client, session = await enter(token, id="r1")`."""

    async def entered(token: str, *, id: str = "") -> tuple[Peer, Session]:  # noqa: A002 - as an argument of this fixture
        before = set(sessions_of(gateway))
        client = await dial(gateway)
        client.write(upgrade_request(token, extra=[f"X-Request-ID: {id}"] if id else []))
        accept(await studio.arrival())
        assert (await client.read_head()).status == 101
        (session,) = set(sessions_of(gateway)) - before
        return client, session

    return entered


async def test_each_index_knows_the_one_and_the_many(gateway: Gateway, enter: Enter, auth: FakeAuth) -> None:
    registry = gateway.parts.sessions
    token, other_token = auth.mint("u1"), auth.mint("u1")
    _, first = await enter(token, id="same")
    assert (first,) == registry.with_id("same") == registry.of_user("u1")
    assert (first,) == registry.of_token(first.info.identity.digest)

    _, second = await enter(token, id="same")
    _, third = await enter(other_token, id="another")
    _, fourth = await enter(auth.mint("u2"), id="same")
    assert len(registry) == 4
    assert {first, second, third, fourth} == set(registry)
    assert (first, second, fourth) == registry.with_id("same")
    assert (third,) == registry.with_id("another")
    assert (first, second, third) == registry.of_user("u1")
    assert (fourth,) == registry.of_user("u2")
    assert (first, second) == registry.of_token(first.info.identity.digest)
    assert (third,) == registry.of_token(third.info.identity.digest)
    assert () == registry.with_id("no such") == registry.of_user("nobody") == registry.of_token(b"")


async def test_by_address_and_by_backend(
    gateway: Gateway, enter: Enter, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    registry = gateway.parts.sessions
    sessions = {(await enter(auth.mint("u1")))[1], (await enter(auth.mint("u2")))[1]}
    assert sessions == set(registry.of_address("127.0.0.1"))
    assert registry.of_address("192.0.2.1") == ()
    (backend,) = gateway.parts.pool.active
    assert backend.url == studio.url
    assert sessions == set(registry.on_backend(backend))
    _, (other,) = pool_of("other")
    assert registry.on_backend(other) == ()
    assert (registry.users_on(backend), registry.users_on(other)) == ({"u1", "u2"}, set())


async def test_what_has_ended_is_found_no_more_and_leaves_no_key(
    gateway: Gateway, enter: Enter, auth: FakeAuth
) -> None:
    registry = gateway.parts.sessions
    token = auth.mint("u1")
    _, first = await enter(token, id="r")
    _, second = await enter(token, id="r")
    _, third = await enter(token, id="r")
    told = 0

    def count() -> None:
        nonlocal told
        told += 1

    registry.on_empty = count
    second.abort()
    await until(lambda: len(registry) == 2)
    assert (first, third) == registry.with_id("r") == registry.of_user("u1")
    first.abort()
    await until(lambda: len(registry) == 1)
    assert (third,) == registry.with_id("r") == registry.of_token(third.info.identity.digest)
    assert told == 0
    third.abort()
    await until(lambda: nobody_is_left(gateway))
    assert told == 1
    assert [len(index) for index in (registry._by_user, registry._by_token)] == [0, 0]
    assert list(registry) == []


async def test_a_session_that_is_ending_is_not_home(gateway: Gateway, enter: Enter, auth: FakeAuth) -> None:
    registry = gateway.parts.sessions
    assert registry.home("u1") is None
    _, first = await enter(auth.mint("u1"))
    _, second = await enter(auth.mint("u1"))
    assert registry.newest("u1") is second
    second.end(Cause.IDLE)
    assert registry.newest("u1") is first
    assert registry.home("u1") is first.backend
    first.end(Cause.IDLE)
    assert registry.home("u1") is None
    assert len(registry) == 2


async def test_sessions_may_be_ended_while_going_through_them(join: Join, gateway: Gateway) -> None:
    for user in ("u1", "u2", "u1"):
        await join(gateway, user=user)
    for session in gateway.parts.sessions.of_user("u1"):
        session.abort()
    await until(lambda: len(gateway.parts.sessions) == 1)
