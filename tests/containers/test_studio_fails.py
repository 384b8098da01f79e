"""A Studio is killed, frozen, cut off and stopped, with clients connected and numbered messages flowing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from memmie_harness.containers import (
    FakeStudioContainer,
    GatewayContainer,
    ServiceContainer,
    StackContainers,
    engine_time,
)
from memmie_harness.numbered import Crowd

RunStack = Callable[..., Awaitable[StackContainers]]
CrowdOf = Callable[..., Awaitable[Crowd]]
UsersOf = Callable[[FakeStudioContainer], Awaitable[set[str]]]
ReceivedBy = Callable[[Collection[FakeStudioContainer]], Awaitable[dict[str, list[int]]]]
Metric = Callable[..., Awaitable[float]]
HealthIs = Callable[..., Awaitable[float]]
Ready = Callable[[GatewayContainer], Awaitable[tuple[int, dict[str, Any]]]]

GONE = (1012, "Studio is gone, reconnect")
SILENT = (1012, "Studio does not answer, reconnect")

FOUND_SECONDS = 4.5
"""PING_INTERVAL_SECONDS + PING_TIMEOUT_SECONDS of the suite's settings, and the half interval between two looks."""

SLACK_SECONDS = 1.5
"""For a machine that has other things to do; half of PING_TIMEOUT_SECONDS, so that twice that would be noticed."""

NOTICED_SECONDS = 2.0
"""A client that waits longer than this for an ack would have noticed that something was wrong."""


def ended_at(service: ServiceContainer) -> float:
    """When a container's process ended, by the engine's word, on the clock of `time.monotonic`."""
    service.reload()
    ended = engine_time(service.get_wrapped_container().attrs["State"]["FinishedAt"])
    return ended - time.time() + time.monotonic()


def assert_nothing_was_noticed(crowd: Crowd) -> None:
    for client in crowd:
        assert len(client.lives) == 1, client
        assert client.life.ended is None, client
        assert not client.refusals, client
        assert client.life.slowest < NOTICED_SECONDS, client


async def assert_users_come_again(
    stack: StackContainers, studio: FakeStudioContainer, crowd_of: CrowdOf, users_of: UsersOf
) -> None:
    """New clients are spread by user and address, the same way in every run: of these, each Studio has some."""
    async with (await crowd_of(stack, 30, name="later")).running() as later:
        assert any(user.startswith("later") for user in await users_of(studio))
        assert not [client for client in later if client.refusals]


async def test_a_killed_studio_is_noticed_by_its_clients_alone(
    run_stack: RunStack,
    crowd_of: CrowdOf,
    users_of: UsersOf,
    received_by: ReceivedBy,
    metric: Metric,
    ready: Ready,
    health_is: HealthIs,
) -> None:
    """200 connections, the gateway's own clocks: told within 1 s, served by another Studio 3 s after that."""
    stack = await run_stack(clocks={})
    gateway, victim, survivors = stack.gateway, stack.studios[0], stack.studios[1:]
    async with (await crowd_of(stack, 200, every=0.2)).running() as crowd:
        lost = crowd.of(await users_of(victim))
        kept = crowd.but(lost)
        assert len(lost) >= 30
        await crowd.goes_on()

        await asyncio.to_thread(victim.get_wrapped_container().kill)
        await lost.until(lambda client: client.lives[0].ended is not None, 5, "hear of the end")
        await lost.until(lambda client: len(client.lives) > 1 and client.served, 5, "get an ack again")
        await health_is(stack, 1, "unhealthy")
        await crowd.goes_on()
        await crowd.finish()

        # What the clients saw.
        killed_at = ended_at(victim)
        assert {client.lives[0].close for client in lost} == {GONE}
        assert max((client.lives[0].ended or 0) - killed_at for client in lost) <= 1.0
        assert max(client.away for client in lost) <= 3.0
        assert all(len(client.lives) == 2 and not client.refusals for client in lost)
        assert_nothing_was_noticed(kept)
        assert crowd.problems() == []

        # What the Studios that live received: every message once, in order, and only what was sent to them.
        received = await received_by(survivors)
        assert received == {client.user_id: client.life.sent for client in crowd}

        # What the gateway says: all it took from the victim has reached a client.
        url = stack.studio_ws_url(1)
        acks = sum(len(client.lives[0].acknowledged) for client in lost)
        to_clients = {"direction": "backend->client", "backend": url}
        assert await metric(gateway, "gateway_websocket_messages_total", **to_clients) == acks
        assert await metric(gateway, "gateway_backend_healthy", backend=url) == 0
        assert await metric(gateway, "gateway_backend_healthy") == 2
        assert await metric(gateway, "gateway_websocket_closes_total", code="1006", by="studio") == len(lost)
        assert await metric(
            gateway, "gateway_websocket_errors_total", type="studio_gone", backend=url
        ) == len(lost)
        assert await metric(gateway, "gateway_websocket_connections") == 200
        assert await metric(gateway, "gateway_websocket_connections", backend=url) == 0
        assert (await ready(gateway))[0] == 200


async def test_a_frozen_studio_is_found_by_ping(
    run_stack: RunStack, crowd_of: CrowdOf, users_of: UsersOf, metric: Metric, health_is: HealthIs
) -> None:
    """`docker pause`: the kernel still acknowledges every byte, and nobody answers any more."""
    # Pings alone must end the sessions; the health check would find the dead Studio at about the same time.
    stack = await run_stack(UNHEALTHY_SESSIONS="keep")
    frozen = stack.studios[0]
    async with (await crowd_of(stack, 40)).running() as crowd:
        lost = crowd.of(await users_of(frozen))
        await crowd.goes_on()

        await asyncio.to_thread(frozen.get_wrapped_container().pause)
        frozen_at = time.monotonic()
        try:
            await lost.until(lambda client: client.lives[0].ended is not None, 10, "hear of the end")
            await lost.until(lambda client: len(client.lives) > 1 and client.served, 10, "get an ack again")
            await health_is(stack, 1, "unhealthy")
            await crowd.goes_on()
        finally:
            await asyncio.to_thread(frozen.get_wrapped_container().unpause)

        assert {client.lives[0].close for client in lost} == {SILENT}
        assert (
            max((client.lives[0].ended or 0) - frozen_at for client in lost) <= FOUND_SECONDS + SLACK_SECONDS
        )
        assert max(client.away for client in lost) <= 3.0
        assert not [client for client in lost if client.refusals]
        url = stack.studio_ws_url(1)
        silent = await metric(
            stack.gateway, "gateway_websocket_errors_total", type="studio_silent", backend=url
        )
        assert silent == len(lost)

        await health_is(stack, 1, "healthy")
        await assert_users_come_again(stack, frozen, crowd_of, users_of)
        await crowd.finish()
        assert_nothing_was_noticed(crowd.but(lost))
        assert crowd.problems() == []


async def test_a_studio_cut_off_from_the_network_gets_users_again_when_the_partition_heals(
    stack: StackContainers, crowd_of: CrowdOf, users_of: UsersOf, health_is: HealthIs
) -> None:
    cut_off = stack.studios[0]
    container = cut_off.get_wrapped_container()
    network = cut_off.get_docker_client().client.networks.get(stack.network.name)
    async with (await crowd_of(stack, 40)).running() as crowd:
        lost = crowd.of(await users_of(cut_off))
        await crowd.goes_on()

        await asyncio.to_thread(network.disconnect, container)
        cut_at = time.monotonic()
        await lost.until(lambda client: client.lives[0].ended is not None, 10, "hear of the end")
        await lost.until(lambda client: len(client.lives) > 1 and client.served, 10, "get an ack again")
        await health_is(stack, 1, "unhealthy")
        await crowd.goes_on()

        assert {client.lives[0].code for client in lost} == {1012}
        assert max((client.lives[0].ended or 0) - cut_at for client in lost) <= FOUND_SECONDS + SLACK_SECONDS
        assert max(client.away for client in lost) <= 3.0

        await asyncio.to_thread(network.connect, container, aliases=[stack.studio_name(1)])
        await health_is(stack, 1, "healthy", within=10)
        await assert_users_come_again(stack, cut_off, crowd_of, users_of)
        await crowd.finish()
        assert_nothing_was_noticed(crowd.but(lost))
        assert crowd.problems() == []


async def test_a_studio_that_is_stopped_says_goodbye_itself(
    stack: StackContainers, crowd_of: CrowdOf, users_of: UsersOf, received_by: ReceivedBy, health_is: HealthIs
) -> None:
    """`docker stop`: its own Close is passed on, and what it acknowledged was received by nobody else."""
    stopped, others = stack.studios[0], stack.studios[1:]
    container = stopped.get_wrapped_container()
    async with (await crowd_of(stack, 40)).running() as crowd:
        lost = crowd.of(await users_of(stopped))
        await crowd.goes_on()

        await asyncio.to_thread(container.stop, timeout=10)
        await lost.until(lambda client: len(client.lives) > 1 and client.served, 10, "get an ack again")
        await health_is(stack, 1, "unhealthy")
        await crowd.finish()

        assert (await asyncio.to_thread(container.wait))["StatusCode"] == 0
        assert {client.lives[0].close for client in lost} == {(1001, "Studio is shutting down")}
        assert all(len(client.lives) == 2 for client in lost)
        assert_nothing_was_noticed(crowd.but(lost))
        assert crowd.problems() == []
        received = await received_by(others)
        assert received == {client.user_id: client.life.sent for client in crowd}
