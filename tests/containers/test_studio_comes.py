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

    crowd = await crowd_of(stack, 10)
    studio_starts = asyncio.create_task(asyncio.to_thread(stack.studios[0].start))
    async with crowd.running(within=20):
        await studio_starts
        assert all(client.refusals for client in crowd)
        assert {refusal.status for client in crowd for refusal in client.refusals} == {503}
        assert all("retry later" in refusal.words for client in crowd for refusal in client.refusals)
        assert (await ready(stack.gateway))[0] == 200
        await crowd.goes_on()
        await crowd.finish()
        assert crowd.problems() == []


def address_of(service: ServiceContainer) -> str:
    container = service.get_wrapped_container()
    container.reload()
    [network] = container.attrs["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


async def test_a_studio_that_comes_back_under_another_address_is_found_by_its_name(
    run_stack: RunStack,
    crowd_of: CrowdOf,
    users_of: Callable[[FakeStudioContainer], Awaitable[set[str]]],
    health_is: HealthIs,
) -> None:
    stack = await run_stack(studios=2)
    moving = stack.studios[0]
    container, old_address = moving.get_wrapped_container(), address_of(moving)
    async with (await crowd_of(stack, 30)).running() as crowd:
        lost = crowd.of(await users_of(moving))

        await asyncio.to_thread(container.kill)
        squatter = stack.make_studio(9)  # takes the address that has become free
        await asyncio.to_thread(squatter.start)
        assert address_of(squatter) == old_address
        await lost.until(lambda client: len(client.lives) > 1 and client.served, 10, "served again")
        await asyncio.to_thread(container.start)
        assert address_of(moving) != old_address

        await health_is(stack, 1, "healthy", within=10)
        async with (await crowd_of(stack, 30, name="later")).running() as later:
            assert any(user.startswith("later") for user in await users_of(moving))
            assert not [client for client in later if client.refusals]
            # Whoever listens under the old address now is nobody's Studio.
            assert await users_of(squatter) == set()
        await crowd.goes_on()
        await crowd.finish()
        assert {client.lives[0].code for client in lost} == {1012}
        assert all(len(client.lives) == 1 for client in crowd.but(lost))
        assert crowd.problems() == []
