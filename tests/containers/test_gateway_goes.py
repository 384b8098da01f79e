"""The gateway itself is stopped, and replaced by another one, with numbered messages flowing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from memmie_harness.containers import FakeStudioContainer, GatewayContainer, StackContainers
from memmie_harness.numbered import Crowd

ReceivedBy = Callable[[Collection[FakeStudioContainer]], Awaitable[dict[str, list[int]]]]

SHUTTING_DOWN = (1001, "the gateway is shutting down")


async def test_a_gateway_that_is_stopped_tells_every_client_and_loses_nothing_acknowledged(
    run_stack: Callable[..., Awaitable[StackContainers]],
    crowd_of: Callable[..., Awaitable[Crowd]],
    received_by: ReceivedBy,
    ready: Callable[[GatewayContainer], Awaitable[tuple[int, dict[str, Any]]]],
) -> None:
    """`docker stop`: SIGTERM reaches the gateway, and it drains for `DRAIN_SECONDS`, here 3."""
    stack = await run_stack(DRAIN_SECONDS=3)
    container = stack.gateway.get_wrapped_container()
    async with (await crowd_of(stack, 60, every=0.05)).running() as crowd:
        await crowd.goes_on()

        began = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(container.stop, timeout=60))
        # Before the last one is gone, what routes clients is told to send no more.
        async with asyncio.timeout(10):
            while (answer := await ready(stack.gateway))[0] == 200:  # noqa: ASYNC110 - nobody tells but by an answer
                await asyncio.sleep(0.02)
        status, body = answer
        assert (status, body["status"], body["draining"]) == (503, "not ready", True)
        assert not all(client.lives[0].ended for client in crowd)
        await stopping
        seconds = time.monotonic() - began
        await crowd.until(lambda client: client.lives[0].ended is not None, 5, "hear of the end")

        assert (await asyncio.to_thread(container.wait))["StatusCode"] == 0
        assert 3 <= seconds < 20
        assert {client.lives[0].close for client in crowd} == {SHUTTING_DOWN}
        # They were sent away one after the other, not all at once.
        ends = sorted(client.lives[0].ended or 0 for client in crowd)
        assert ends[-1] - ends[0] > 1.5
        # Once it drains nobody is let in any more.
        assert all(len(client.lives) == 1 for client in crowd)
        assert {refusal.status for client in crowd for refusal in client.refusals} <= {0, 503}

    assert crowd.problems() == []
    received = await received_by(stack.studios)
    for client in crowd:
        life, numbers = client.lives[0], received[client.user_id]
        assert numbers == life.sent[: len(numbers)]
        assert numbers[: len(life.acknowledged)] == life.acknowledged


async def test_a_gateway_is_replaced_without_a_refusal(
    stack: StackContainers, crowd_of: Callable[..., Awaitable[Crowd]], received_by: ReceivedBy
) -> None:
    """The new one is ready before the old one is stopped; who is sent away comes back to the new one."""
    old = stack.gateway
    addresses = [old.get_ws_url()]
    async with (await crowd_of(stack, 60, lambda: addresses[-1])).running() as crowd:
        new = stack.make_gateway("gateway-2")
        await asyncio.to_thread(new.start)
        addresses.append(new.get_ws_url())
        await crowd.goes_on()

        await asyncio.to_thread(old.get_wrapped_container().stop, timeout=10)
        await crowd.until(
            lambda client: len(client.lives) > 1 and client.served, 5, "get an ack from the new one"
        )
        await crowd.goes_on()
        await crowd.finish()

        assert {client.lives[0].close for client in crowd} == {SHUTTING_DOWN}
        assert all(len(client.lives) == 2 and not client.refusals for client in crowd)
        assert max(client.away for client in crowd) <= 5.0
        assert crowd.problems() == []

    # All the Studios live: they received what was sent on the one connection and then on the other, and nothing
    # twice but what a client had to send again because it never saw an ack.
    received = await received_by(stack.studios)
    for client in crowd:
        first, second = client.lives
        again = [number for number in second.sent if number in first.sent]
        assert not set(again) & set(first.acknowledged)
        twice = {number for number in received[client.user_id] if received[client.user_id].count(number) > 1}
        assert twice <= set(again)
        assert set(received[client.user_id]) == {*first.acknowledged, *second.sent}
