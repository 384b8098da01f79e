"""What counts against a Studio: one user's trouble is nobody else's, and nobody waits long for a 503 (spec §3)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.integration.no_limits import NO_LIMITS
from websockets.exceptions import ConnectionClosed

from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import Target

HealthIs = Callable[..., Awaitable[None]]
Metric = Callable[..., Awaitable[float]]
Ready = Callable[[Target], Awaitable[tuple[int, dict[str, Any]]]]
Refused = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.memmie(target="inprocess")


def health_lines(gateway: Target, state: str) -> list[dict[str, Any]]:
    return [line for line in gateway.logs() if line["event"] == "backend_health" and line["state"] == state]


@pytest.mark.memmie(env={**NO_LIMITS, "DIAL_TIMEOUT_SECONDS": 2})
@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        pytest.param("error", {"status": 500}, id="500"),
        pytest.param("refuse", {"status": 302}, id="302"),
        pytest.param("wrong_accept", {}, id="a wrong answer"),
        pytest.param("reset", {}, id="reset"),
        pytest.param("garbage", {}, id="garbage"),
        pytest.param("hang", {}, id="no answer"),
    ],
)
async def test_a_user_whom_every_studio_refuses_moves_nobodys_health(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    refusal: Refused,
    ready: Ready,
    health_is: HealthIs,
    fault: str,
    parameters: dict[str, Any],
) -> None:
    for studio in memmie_studios:
        await health_is(studio.ws_url, "healthy")
        studio.script(fault, route="/ws", user_id="bad", **parameters)
    done = asyncio.Event()

    async def knock() -> int:
        for number in itertools.count(1):
            assert (await refusal("bad")).code == "studio_failed"
            if done.is_set():
                return number
        raise AssertionError

    async with asyncio.TaskGroup() as group:
        knocking = [group.create_task(knock()) for _ in range(3)]
        for number in range(28):
            await heartbeat(await memmie_connect(f"u{number}"))
        done.set()
    assert sum(task.result() for task in knocking) >= 3
    assert health_lines(memmie_gateway, "unhealthy") == []
    assert (await ready(memmie_gateway))[0] == 200


@pytest.mark.memmie(env={**NO_LIMITS, "HEALTH_FALL": 1, "HEALTH_RECOVERY_SECONDS": 60})
async def test_a_studio_that_refuses_many_users_is_in_doubt(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], health_is: HealthIs
) -> None:
    for studio in memmie_studios:
        await health_is(studio.ws_url, "healthy")
    memmie_studios[0].script("error", route="/*", status=500)
    for number in range(30):
        await heartbeat(await memmie_connect(f"u{number}"))
    await health_is(memmie_studios[0].ws_url, "unhealthy")


@pytest.mark.memmie(studios=3, env={**NO_LIMITS, "DIAL_TIMEOUT_SECONDS": 2})
async def test_all_dials_for_a_client_share_one_time_out(
    memmie_studios: list[FakeStudio], refusal: Refused, health_is: HealthIs
) -> None:
    for studio in memmie_studios:
        await health_is(studio.ws_url, "healthy")
        studio.script("hang", route="/ws")

    async def newcomer(number: int) -> float:
        began = time.monotonic()
        assert (await refusal(f"u{number}")).status == 503
        return time.monotonic() - began

    waited = await asyncio.gather(*map(newcomer, range(20)))
    assert max(waited) < 4  # it was 6 seconds; the machine may be busy


@pytest.mark.memmie(env={**NO_LIMITS, "HEALTH_RECOVERY_SECONDS": 0.1, "HEALTH_INTERVAL_SECONDS": 0.2})
async def test_all_studios_are_used_where_all_look_bad(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    ready: Ready,
    health_is: HealthIs,
) -> None:
    """Their health checks are broken, and they are well."""
    early = await memmie_connect("early")
    for studio in memmie_studios:
        studio.script("error", route="/ws/health", status=500)
    for studio in memmie_studios:
        await health_is(studio.ws_url, "unhealthy")
    for number in range(20):
        await heartbeat(await memmie_connect(f"u{number}"))
    await heartbeat(early)
    assert (await ready(memmie_gateway))[0] == 503
    lines = health_lines(memmie_gateway, "unhealthy")
    assert len(lines) == 2, "connections that work do not hide that the health check fails"
    for studio, line in zip(memmie_studios, sorted(lines, key=_order(memmie_studios)), strict=True):
        assert line["checked"] == f"{studio.ws_url}/health"
        assert f"{studio.ws_url}/health" in line["detail"]


def _order(studios: list[FakeStudio]) -> Callable[[dict[str, Any]], int]:
    urls = [studio.ws_url for studio in studios]
    return lambda line: urls.index(line["backend"])


@pytest.mark.memmie(env={**NO_LIMITS, "HEALTH_TIMEOUT_SECONDS": 1})
@pytest.mark.parametrize("after_messages", [0, 1])
async def test_a_studio_that_breaks_every_session_is_ejected(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    metric: Metric,
    health_is: HealthIs,
    after_messages: int,
) -> None:
    sick, well = memmie_studios
    for studio in memmie_studios:
        await health_is(studio.ws_url, "healthy")
    stays = {f"s{number}": await memmie_connect(f"s{number}") for number in range(4)}
    regulars: list[str] = []
    for user in (f"u{number}" for number in itertools.count()):
        async with await memmie_connect(user):
            regulars += [live.user_id for live in sick.connections if live.user_id == user]
        if len(regulars) == 8:
            break
    sick.script("drop", route="/ws", after_messages=after_messages)
    ejected = asyncio.Event()

    async def insist(user: str) -> None:
        while not ejected.is_set():
            connection = await memmie_connect(user)
            with contextlib.suppress(ConnectionClosed):
                await connection.send('{"type":"heartbeat"}')
            if any(live.user_id == user for live in well.connections):
                return
            await connection.wait_closed()

    async with asyncio.TaskGroup() as group:
        for user in regulars:
            group.create_task(insist(user))
        line = await memmie_gateway.wait_for_log(
            lambda line: line["event"] == "backend_ejected" and line["backend"] == sick.ws_url, within=20
        )
        ejected.set()
    assert (line["state"], line["seconds"]) == ("ejected", 30)
    assert "of its users" in line["detail"]
    assert await metric(memmie_gateway, "gateway_backend_ejected", backend=sick.ws_url) == 1
    assert await metric(memmie_gateway, "gateway_backend_ejected", backend=well.ws_url) == 0
    assert await metric(memmie_gateway, "gateway_backend_healthy", backend=sick.ws_url) == 1
    for user in regulars:
        await heartbeat(await memmie_connect(user))
    for connection in stays.values():
        await heartbeat(connection)
    assert health_lines(memmie_gateway, "unhealthy") == []


@pytest.mark.memmie(env={**NO_LIMITS, "HEALTH_TIMEOUT_SECONDS": 0.3, "OUTLIER_EJECTION": "false"})
async def test_ejection_can_be_switched_off(
    memmie_gateway: Target, memmie_connect: Connect, memmie_studios: list[FakeStudio], metric: Metric
) -> None:
    for studio in memmie_studios:
        studio.script("drop", route="/ws")
    for number in range(12):
        await (await memmie_connect(f"u{number}")).wait_closed()
    for _ in range(3):
        assert await metric(memmie_gateway, "gateway_backend_ejected") == 0
    assert not any(line["event"] == "backend_ejected" for line in memmie_gateway.logs())
