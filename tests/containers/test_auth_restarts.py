"""Auth is stopped and started again, at another address, under a gateway that is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.exceptions import InvalidStatus

from memmie_harness.client import connect, heartbeat
from memmie_harness.containers import FakeStudioContainer, ServiceContainer, StackContainers
from memmie_harness.numbered import Crowd


async def test_nobody_is_thrown_out_while_auth_restarts(
    run_stack: Callable[..., Awaitable[StackContainers]],
    crowd_of: Callable[..., Awaitable[Crowd]],
    metric: Callable[..., Awaitable[float]],
    squatter: FakeStudioContainer,
    address_on: Callable[[StackContainers, ServiceContainer], Awaitable[str]],
) -> None:
    stack = await run_stack(studios=2, AUTH_BREAKER_SECONDS=0.5, AUTH_TIMEOUT_SECONDS=1)
    auth, url = stack.auth.get_wrapped_container(), stack.gateway.get_ws_url()
    network = stack.auth.get_docker_client().client.networks.get(stack.network.name)
    old_address = await address_on(stack, stack.auth)
    unknown = [await asyncio.to_thread(stack.auth.mint, f"unknown{number}") for number in range(8)]
    async with (await crowd_of(stack, 20)).running() as crowd:
        await asyncio.to_thread(auth.stop)

        # Connected clients go on, and a token that is known opens one more connection.
        await crowd.goes_on()
        again = await connect(url, crowd[0].token)
        await heartbeat(again)
        await again.close()

        # A token that is not known is neither let in nor refused: nobody can tell now, and soon somebody can.
        for token in unknown:  # more than open the circuit, once the gateway's own probe has failed, too
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, token)
            response = refused.value.response
            assert response.status_code == 503
            assert b'"auth_unavailable"' in bytes(response.body or b"")
            assert int(response.headers["Retry-After"]) >= 1
        async with asyncio.timeout(10):
            while await metric(stack.gateway, "gateway_auth_circuit_open") != 1:
                pass

        await asyncio.to_thread(network.connect, squatter.get_wrapped_container())
        assert await address_on(stack, squatter) == old_address
        await asyncio.to_thread(auth.start)
        await asyncio.to_thread(stack.auth.wait_until_ready)
        assert await address_on(stack, stack.auth) != old_address

        # It has another signing key now, too, so other tokens; the gateway finds it by itself.
        async with (await crowd_of(stack, 5, name="later")).running(within=15) as later:
            await later.goes_on()
            assert {refusal.status for client in later for refusal in client.refusals} <= {503}

        await crowd.goes_on()
        await crowd.finish()
        assert all(len(client.lives) == 1 and not client.refusals for client in crowd)
        assert crowd.problems() == []
