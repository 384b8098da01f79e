"""Which Studio a connection goes to, and what happens when one is not there (spec §3, §7, §8)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import Target

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
HealthIs = Callable[..., Awaitable[None]]
Metric = Callable[..., Awaitable[float]]
Ready = Callable[[Target], Awaitable[tuple[int, dict[str, Any]]]]
Refused = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.memmie(target="inprocess")

NO_LIMITS = {"MAX_CONNECTIONS_PER_IP": 0, "CONNECT_RATE_PER_IP": 0}


def homes(studios: list[FakeStudio]) -> dict[str, FakeStudio]:
    """Tell which Studio each user is connected to; no user may be on two."""
    found: dict[str, FakeStudio] = {}
    for studio in studios:
        for connection in studio.connections:
            if not connection.user_id:
                continue  # a probe of the gateway's
            assert found.setdefault(connection.user_id, studio) is studio
    return found


@pytest.mark.memmie(studios=3, env={**NO_LIMITS, "LB_STRATEGY": "round_robin"})
async def test_round_robin_takes_turns_and_a_users_connections_stay_together(
    memmie_connect: Connect, memmie_studios: list[FakeStudio]
) -> None:
    for number in range(9):
        await memmie_connect(f"u{number}")
    assert [len(studio.connections) for studio in memmie_studios] == [3, 3, 3]

    before = homes(memmie_studios)
    await asyncio.gather(*(memmie_connect(f"u{number}") for number in range(9)))
    assert homes(memmie_studios) == before  # asserts, too, that no user is on two Studios

    # Even those that connect at the same moment, when none is live yet.
    await asyncio.gather(*(memmie_connect("family") for _ in range(5)))
    assert "family" in homes(memmie_studios)


@pytest.mark.memmie(studios=3, env={**NO_LIMITS, "LB_STRATEGY": "least_connections"})
async def test_least_connections_fills_the_emptiest(
    memmie_gateway: Target, memmie_connect: Connect, memmie_studios: list[FakeStudio]
) -> None:
    connections = {f"u{number}": await memmie_connect(f"u{number}") for number in range(6)}
    assert [len(studio.connections) for studio in memmie_studios] == [2, 2, 2]

    emptied = memmie_studios[1]
    for user in [connection.user_id for connection in emptied.connections]:
        await gone(connections[user], user, memmie_gateway)
    await memmie_connect("new-1")
    await memmie_connect("new-2")

    assert {connection.user_id for connection in emptied.connections} == {"new-1", "new-2"}


@pytest.mark.memmie(
    env={
        **NO_LIMITS,
        "LB_STRATEGY": "least_connections",
        "HEALTH_RECOVERY_SECONDS": 0.2,
        "HEALTH_INTERVAL_SECONDS": 0.2,
        "HEALTH_FALL": 1,
        "SLOW_START_SECONDS": 600,
    }
)
async def test_a_returned_studio_gets_fewer_at_first(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], health_is: HealthIs
) -> None:
    back, other = memmie_studios
    await back.stop()
    await health_is(back.ws_url, "unhealthy")
    for number in range(5):
        await memmie_connect(f"u{number}")
    await back.start()
    await health_is(back.ws_url, "healthy", count=2)
    for number in range(5):
        await memmie_connect(f"new-{number}")

    users = [sum(bool(each.user_id) for each in studio.connections) for studio in (back, other)]
    assert users[0] < 5  # as many as the other has
    assert sum(users) == 10


@pytest.mark.memmie(studios=3, env={**NO_LIMITS, "HEALTH_RECOVERY_SECONDS": 0.2, "HEALTH_FALL": 1})
async def test_a_dead_studios_users_move_the_others_stay_and_it_is_used_again(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    closed: Closed,
    health_is: HealthIs,
) -> None:
    users = [f"u{number}" for number in range(24)]
    live = {user: await memmie_connect(user) for user in users}
    before = homes(memmie_studios)
    dead, *others = memmie_studios
    moved = [user for user in users if before[user] is dead]
    assert moved

    await dead.stop()
    for user in moved:
        assert await closed(live[user]) == (1012, "Studio is gone, reconnect")
    for user in moved:
        live[user] = await memmie_connect(user)
    after = homes(others)
    assert set(after) == set(users)
    assert all(after[user] is before[user] for user in users if user not in moved)
    await asyncio.gather(*(heartbeat(connection) for connection in live.values()))

    # Not only for their live connections' sake: the others' home is where it was.
    stayed = [user for user in users if user not in moved]
    for user in stayed:
        await gone(live[user], user, memmie_gateway)
    for user in stayed:
        live[user] = await memmie_connect(user)
    assert homes(others) == after

    # Back again, it gets new connections of its users: as soon as they have no live one elsewhere.
    await dead.start()
    await health_is(dead.ws_url, "healthy", count=2)
    user = moved[0]
    second = await memmie_connect(user)
    assert homes(memmie_studios)[user] is after[user]
    await gone(live[user], user, memmie_gateway)
    await gone(second, user, memmie_gateway)
    await memmie_connect(user)
    assert homes(memmie_studios)[user] is dead


@pytest.mark.memmie(env={**NO_LIMITS, "DIAL_TIMEOUT_SECONDS": 0.3, "HEALTH_FALL": 1000})
async def test_a_failover_during_the_dial_is_invisible_to_the_client(
    memmie_gateway: Target, memmie_connect: Connect, memmie_studios: list[FakeStudio], metric: Metric
) -> None:
    first, second = memmie_studios
    user = await resident_of(first, memmie_connect, memmie_gateway)

    faults: list[tuple[str, dict[str, Any]]] = [
        ("refuse", {"status": 503}),
        ("refuse", {"status": 500}),
        ("refuse", {"status": 200}),
        ("refuse", {"status": 302}),
        ("html", {"status": 502}),
        ("hang", {}),
        ("garbage", {}),
        ("reset", {}),
        ("wrong_accept", {}),
    ]
    for name, parameters in faults:
        scripted = first.script(name, route="/ws", times=1, **parameters)
        connection = await memmie_connect(user)
        await heartbeat(connection)
        assert scripted.struck == 1, name
        assert homes(memmie_studios) == {user: second}, name
        await gone(connection, user, memmie_gateway)
    errors = await metric(
        memmie_gateway, "gateway_websocket_errors_total", type="dial_failed", backend=first.ws_url
    )
    assert errors == len(faults)

    connection = await memmie_connect(user)
    assert homes(memmie_studios) == {user: first}


async def resident_of(studio: FakeStudio, connect: Connect, gateway: Target) -> str:
    """Find a user whose home is `studio`; none is connected any more when this returns."""
    for number in range(100):
        user = f"resident-{number}"
        connection = await connect(user)
        found = any(each.user_id == user for each in studio.connections)
        await gone(connection, user, gateway)
        if found:
            return user
    raise AssertionError("no user of a hundred has this Studio as a home")


async def gone(connection: ClientConnection, user: str, gateway: Target) -> None:
    """Close a connection, and wait until the gateway has forgotten it."""

    def ends() -> int:
        return sum(record["event"] == "closed" and record["user_id"] == user for record in gateway.logs())

    before = ends()
    await connection.close()
    await gateway.wait_for_log(lambda record: record.get("user_id") == user and ends() > before)


@pytest.mark.memmie(env=NO_LIMITS)
async def test_a_studios_no_is_passed_on_as_it_is(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], refusal: Refused, ready: Ready
) -> None:
    body = {"error": "your plan has no WebSockets", "code": "plan"}
    for studio in memmie_studios:
        studio.script("error", route="/ws", status=402, body=json.dumps(body))

    refused = await refusal("u1")
    assert (refused.status, refused.json) == (402, body)
    assert refused.headers["content-type"].startswith("application/json")
    asked = Counter(len(studio.log.entries("request", path="/ws")) for studio in memmie_studios)
    assert asked == {1: 1, 0: 1}  # a no is an answer: the other Studio is not asked
    assert (await ready(memmie_gateway))[1]["studios"] == {
        studio.ws_url: "healthy" for studio in memmie_studios
    }


@pytest.mark.memmie(env={**NO_LIMITS, "HEALTH_RECOVERY_SECONDS": 0.2})
async def test_without_any_studio_the_answer_is_503_until_one_is_back(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    refusal: Refused,
    ready: Ready,
    health_is: HealthIs,
    metric: Metric,
) -> None:
    first, second = memmie_studios
    await health_is(second.ws_url, "healthy")
    for studio in memmie_studios:
        studio.script("refuse", route="/ws", status=503, times=1)
    refused = await refusal("u1")
    assert (refused.status, refused.code) == (503, "studio_failed")
    assert int(refused.headers["retry-after"]) >= 1

    # The health interval is 30 s: it is the failed dials that tell the gateway so soon.
    await first.stop()
    await second.stop()
    codes = set()
    while "no_studio" not in codes:
        refused = await refusal("u1")
        assert refused.status == 503
        codes.add(refused.code)
    status, body = await ready(memmie_gateway)
    assert (status, body["status"], body["draining"]) == (503, "not ready", False)
    assert set(body["studios"].values()) == {"unhealthy"}
    assert await metric(memmie_gateway, "gateway_backend_healthy") == 0

    await first.start()
    await health_is(first.ws_url, "healthy", count=2)
    assert (await ready(memmie_gateway))[0] == 200
    await heartbeat(await memmie_connect("u1"))
