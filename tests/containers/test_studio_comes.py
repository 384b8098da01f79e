"""A Studio comes late, or comes back somewhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from memmie_harness.containers import FakeStudioContainer, GatewayContainer, ServiceContainer, StackContainers
from memmie_harness.numbered import Crowd

RunStack = Callable[..., Awaitable[StackContainers]]
CrowdOf = Callable[..., Awaitable[Crowd]]
HealthIs = Callable[..., Awaitable[float]]


async def test_a_studio_that_starts_late_is_found_without_a_restart(
    run_stack: RunStack,
    crowd_of: CrowdOf,
    ready: Callable[[GatewayContainer], Awaitable[tuple[int, dict[str, Any]]]],
    health_is: HealthIs,
) -> None:
    """The gateway is there before the name of its only Studio is: it says so, and serves when it can."""
    stack = await run_stack(studios=1, without_studio=1, until_ready=False)
    await health_is(stack, 1, "unhealthy")
    status, body = await ready(stack.gateway)
    assert (status, body["status"], body["draining"]) == (503, "not ready", False)
    exit_code, words = await asyncio.to_thread(stack.gateway.exec, ["memmie-gateway", "healthcheck"])
    assert exit_code == 1
    assert b"/ready answered 503" in words

    crowd = await crowd_of(stack, 10)

    async def start_studio() -> None:
        await crowd.until(lambda client: bool(client.refusals), 15, "get a refusal")
        await asyncio.to_thread(stack.studios[0].start)

    studio_starts = asyncio.create_task(start_studio())
    async with crowd.running(within=30):
        await studio_starts
        assert {refusal.status for client in crowd for refusal in client.refusals} == {503}
        assert all("retry later" in refusal.words for client in crowd for refusal in client.refusals)
        await health_is(stack, 1, "healthy")  # clients may get in a moment before the health check passes
        assert (await ready(stack.gateway))[0] == 200
        await crowd.goes_on()
        await crowd.finish()
        assert crowd.problems() == []


async def test_a_studio_that_comes_back_under_another_address_is_found_by_its_name(
    run_stack: RunStack,
    crowd_of: CrowdOf,
    users_of: Callable[[FakeStudioContainer], Awaitable[set[str]]],
    health_is: HealthIs,
    squatter: FakeStudioContainer,
    address_on: Callable[[StackContainers, ServiceContainer], Awaitable[str]],
) -> None:
    """It is fast: whoever listens under the old address by then would pass for it with one who remembers that."""
    stack = await run_stack(studios=2)
    moving = stack.studios[0]
    network = moving.get_docker_client().client.networks.get(stack.network.name)
    container, old_address = moving.get_wrapped_container(), await address_on(stack, moving)
    async with (await crowd_of(stack, 30)).running() as crowd:
        lost = crowd.of(await users_of(moving))

        await asyncio.to_thread(container.kill)
        await asyncio.to_thread(network.connect, squatter.get_wrapped_container())
        assert await address_on(stack, squatter) == old_address
        await asyncio.to_thread(container.start)
        assert await address_on(stack, moving) != old_address

        await asyncio.to_thread(moving.wait_until_ready)
        await health_is(stack, 1, "healthy", within=10)
        async with (await crowd_of(stack, 30, name="later")).running() as later:
            assert any(user.startswith("later") for user in await users_of(moving))
            assert not [client for client in later if client.refusals]
        assert not [entry for entry in squatter.log_entries() if entry.get("user_id")]
        await crowd.goes_on()
        await crowd.finish()
        assert {client.lives[0].code for client in lost} == {1012}
        assert all(len(client.lives) == 1 for client in crowd.but(lost))
        assert crowd.problems() == []
