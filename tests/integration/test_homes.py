"""One user, one Studio, also after a fault (spec §3): who is moved, when, and who is not."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from tests.integration.tabs import Tab, opened, places, split, until

from memmie_fake_studio import FakeStudio
from memmie_gateway.core.backends.balancer import rendezvous_score
from memmie_harness.fixture_types import Connect, MintToken, StartGateway
from memmie_harness.targets import Target

HealthIs = Callable[..., Awaitable[None]]
Metric = Callable[..., Awaitable[float]]

pytestmark = pytest.mark.memmie(target="inprocess")

QUICK = {
    "MAX_CONNECTIONS_PER_IP": 0,
    "CONNECT_RATE_PER_IP": 0,
    "HEALTH_RECOVERY_SECONDS": 0.1,
    "REBALANCE_AFTER_SECONDS": 0.5,
}
MOVED = (1012, "moving to another Studio, reconnect")
GONE = (1012, "Studio is gone, reconnect")


def home(user: str, studios: list[FakeStudio]) -> str:
    """Return the Studio where a user belongs if all are healthy."""
    return max((studio.ws_url for studio in studios), key=lambda url: rendezvous_score(user, url))


def users_of(studio: FakeStudio, studios: list[FakeStudio], count: int) -> list[str]:
    """Return users who belong to a Studio."""
    found = (f"u{number}" for number in range(1000) if home(f"u{number}", studios) == studio.ws_url)
    return [user for user, _ in zip(found, range(count), strict=False)]


def all_at_home(studios: list[FakeStudio], users: list[str]) -> bool:
    return places(studios) == {user: {home(user, studios)} for user in users}


async def health_of(gateway: Target, studio: FakeStudio, state: str) -> None:
    """Wait until the last that a gateway says of a Studio's health is this."""

    def last() -> object:
        states = [
            record["state"]
            for record in gateway.logs()
            if record["event"] == "backend_health" and record["backend"] == studio.ws_url
        ]
        return states[-1] if states else None

    await until(lambda: last() == state)


@pytest.mark.memmie(env={**QUICK, "REBALANCE": "home"})
async def test_two_gateways_agree_again_when_a_studio_has_returned(
    memmie_start_gateway: StartGateway, memmie_studios: list[FakeStudio], memmie_token: MintToken
) -> None:
    gateways = [await memmie_start_gateway(), await memmie_start_gateway()]
    users = [f"u{number}" for number in range(20)]
    tabs = [Tab(user, memmie_token(user), gateway) for user in users for gateway in gateways]
    dead = memmie_studios[0]
    async with opened(tabs):
        assert all_at_home(memmie_studios, users)
        await dead.stop()
        await until(lambda: all(tab.connected for tab in tabs) and len(places(memmie_studios)) == len(users))
        await dead.start()
        for gateway in gateways:
            await health_of(gateway, dead, "healthy")
        await asyncio.gather(*(tab.reload() for tab in tabs[::2]))

        await until(lambda: all_at_home(memmie_studios, users))
    ends = Counter(end for tab in tabs for end in tab.ends)
    assert set(ends) == {GONE, MOVED}
    assert ends[MOVED] <= ends[GONE]


@pytest.mark.memmie(studios=4, env={**QUICK, "REBALANCE": "home"})
async def test_when_all_studios_were_restarted_in_turn_every_user_is_at_home(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_token: MintToken, metric: Metric
) -> None:
    users = [f"u{number}" for number in range(24)]
    tabs = [Tab(user, memmie_token(user), memmie_gateway) for user in users for _ in range(2)]
    async with opened(tabs):
        for studio in memmie_studios:
            await studio.stop()
            await until(
                lambda: all(tab.connected for tab in tabs) and len(places(memmie_studios)) == len(users)
            )
            await studio.start()
            await health_of(memmie_gateway, studio, "healthy")
        await until(lambda: all_at_home(memmie_studios, users))
        await until_metric(metric, memmie_gateway, "gateway_strays", 0)
    moves = Counter(tab.user for tab in tabs for end in tab.ends if end == MOVED)
    assert set(moves.values()) <= {2}, "each user was moved at most once, with both tabs"
    moved = await metric(memmie_gateway, "gateway_evictions_total", evidence="move")
    assert moved == moves.total()


async def until_metric(metric: Metric, gateway: Target, name: str, value: float) -> None:
    """Wait until a gateway's metric has a value."""
    async with asyncio.timeout(10):
        while await metric(gateway, name) != value:  # noqa: ASYNC110 - it has to be asked for
            await asyncio.sleep(0.05)


@pytest.mark.memmie(env={**QUICK, "DIAL_TIMEOUT_SECONDS": 2})
async def test_users_whom_a_hanging_upgrade_has_split_are_healed(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_token: MintToken, metric: Metric
) -> None:
    studio, other = memmie_studios
    users = users_of(studio, memmie_studios, 12)
    tabs = [Tab(user, memmie_token(user), memmie_gateway) for user in users for _ in range(2)]
    async with opened(tabs):
        assert places(memmie_studios) == {user: {studio.ws_url} for user in users}
        hang = studio.script("hang", route="/ws")
        await asyncio.gather(*(tab.reload() for tab in tabs[::2]))
        assert hang.struck
        studio.unscript(hang.id)
        ended = time.monotonic()
        await until(lambda: all(tab.connected for tab in tabs) and not split(memmie_studios))
        assert time.monotonic() - ended < 5
        assert len(places(memmie_studios)) == len(users)
        await until_metric(metric, memmie_gateway, "gateway_users_split", 0)
    # Where the new connection was accepted, the old one went: one move each.
    assert all(end == MOVED for tab in tabs for end in tab.ends)
    assert max(len(tab.ends) for tab in tabs) == 1
    assert sum(len(tab.ends) for tab in tabs) <= len(users)
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="move", mode="act") >= 1
    assert other.connections or not split(memmie_studios)


@pytest.mark.memmie(env={**QUICK, "REBALANCE": "off"})
async def test_off_moves_nobody_and_counts(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_token: MintToken, metric: Metric
) -> None:
    studio, _ = memmie_studios
    (user,) = users_of(studio, memmie_studios, 1)
    tabs = [Tab(user, memmie_token(user), memmie_gateway) for _ in range(3)]
    async with opened(tabs):
        studio.script("refuse", route="/ws", status=503, times=1)
        await tabs[0].reload()
        assert split(memmie_studios) == {user}
        await until_metric(metric, memmie_gateway, "gateway_users_split", 1)
        await until_metric(metric, memmie_gateway, "gateway_strays", 1)
    assert not any(tab.ends for tab in tabs)


@pytest.mark.memmie(env=QUICK)
async def test_the_fewest_connections_are_moved(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_token: MintToken
) -> None:
    studio, _ = memmie_studios
    (user,) = users_of(studio, memmie_studios, 1)
    tabs = [Tab(user, memmie_token(user), memmie_gateway) for _ in range(4)]
    async with opened(tabs):
        studio.script("refuse", route="/ws", status=503, times=1)
        await tabs[0].reload()
        await until(lambda: bool(tabs[0].ends) and tabs[0].connected)
        assert places(memmie_studios) == {user: {studio.ws_url}}
    assert [tab.ends for tab in tabs] == [[MOVED], [], [], []]


@pytest.mark.memmie(env=QUICK)
async def test_split_moves_nobody_home(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_token: MintToken, metric: Metric
) -> None:
    """A user whose connections are all together stays, so that a Studio that returns costs nobody a connection."""
    dead, other = memmie_studios
    users = users_of(dead, memmie_studios, 5)
    tabs = [Tab(user, memmie_token(user), memmie_gateway) for user in users]
    async with opened(tabs):
        await dead.stop()
        await until(lambda: places([other]).keys() == set(users))
        await dead.start()
        await health_of(memmie_gateway, dead, "healthy")
        await until_metric(metric, memmie_gateway, "gateway_strays", len(users))
        assert places(memmie_studios) == {user: {other.ws_url} for user in users}
    assert [tab.ends for tab in tabs] == [[GONE]] * len(users)


@pytest.mark.memmie(env={**QUICK, "REBALANCE": "home", "REBALANCE_AFTER_SECONDS": 0.2})
async def test_a_studio_added_fills_only_at_the_allowed_pace(
    memmie_start_gateway: StartGateway, memmie_studios: list[FakeStudio], memmie_token: MintToken
) -> None:
    """To the gateway, a Studio that is away from the start and comes is one that is added."""
    added, other = memmie_studios
    users = users_of(added, memmie_studios, 45)
    await added.stop()
    gateway = await memmie_start_gateway()
    await health_of(gateway, added, "unhealthy")
    tabs = [Tab(user, memmie_token(user), gateway) for user in users]
    async with opened(tabs):
        await added.start()
        await until(lambda: places([added]).keys() == set(users))
        assert not places([other])

    def moved() -> list[str]:
        records = (record for record in gateway.logs() if record["event"] == "closed")
        return [record["timestamp"] for record in records if record["cause"] == "moved"]

    await until(lambda: len(moved()) == len(users))
    times = sorted(map(datetime.fromisoformat, moved()))
    # 20 at once, 20 a second later, and the rest after two; a log line may be a little late.
    assert (times[-1] - times[0]).total_seconds() > 1.5


@pytest.mark.memmie(env={**QUICK, "LB_STRATEGY": "least_connections", "REBALANCE": "home"})
async def test_without_homes_nobody_is_moved(
    memmie_gateway: Target,
    memmie_studios: list[FakeStudio],
    memmie_connect: Connect,
    metric: Metric,
) -> None:
    for number in range(6):
        await memmie_connect(f"u{number}")
    studio = memmie_studios[0]
    studio.script("refuse", route="/ws", status=503, times=1)
    await memmie_connect("u0")
    await memmie_connect("u0")
    assert await metric(memmie_gateway, "gateway_users_split") == 0
    assert await metric(memmie_gateway, "gateway_evictions_total", evidence="move") == 0
