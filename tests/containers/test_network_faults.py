"""iptables between the gateway and a Studio: packets that vanish, and packets that are refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from docker import DockerClient
from testcontainers.core.container import DockerContainer

from memmie_harness.containers import FakeStudioContainer, ServiceContainer, StackContainers
from memmie_harness.numbered import Crowd

NETFILTER_IMAGE = "memmie-test-netfilter:latest"
PORT = 8010

SLACK_SECONDS = 1.5
"""For a machine that has other things to do."""

Netfilter = Callable[..., None]


@pytest.fixture
def netfilter(engine: DockerClient) -> Iterator[Netfilter]:
    """Runs iptables in a container's network, from a sidecar: the container itself stays as it is."""
    engine.images.get(NETFILTER_IMAGE)  # raises; the engine would try to pull it otherwise
    sidecars: list[DockerContainer] = []

    def run(service: ServiceContainer, *rule: str) -> None:
        network = f"container:{service.get_wrapped_container().id}"
        sidecar = DockerContainer(NETFILTER_IMAGE).with_command(list(rule))
        sidecar.with_kwargs(network_mode=network, cap_drop=["ALL"], cap_add=["NET_ADMIN", "NET_RAW"])
        sidecars.append(sidecar)
        sidecar.start()
        assert sidecar.wait() == 0, sidecar.get_logs()

    yield run
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda sidecar: sidecar.stop(), sidecars))


DROP = ("-p", "tcp", "--dport", str(PORT), "-j", "DROP")
REJECT = ("-p", "tcp", "--dport", str(PORT), "-j", "REJECT", "--reject-with", "tcp-reset")


@pytest.mark.parametrize(
    ("rule", "close", "told_within"),
    [
        # Nothing comes back: found by ping, after interval, time-out and half an interval between two looks.
        pytest.param(DROP, (1012, "Studio does not answer, reconnect"), 4.5, id="drop"),
        # The first byte sent is answered by a reset: found by the next message, of which there are ten a second.
        pytest.param(REJECT, (1012, "Studio is gone, reconnect"), 0.5, id="reject"),
    ],
)
async def test_a_studio_behind_a_firewall_is_left_and_used_again_when_the_rule_goes(
    run_stack: Callable[..., Awaitable[StackContainers]],
    netfilter: Netfilter,
    crowd_of: Callable[..., Awaitable[Crowd]],
    users_of: Callable[[FakeStudioContainer], Awaitable[set[str]]],
    health_is: Callable[..., Awaitable[float]],
    rule: tuple[str, ...],
    close: tuple[int, str],
    told_within: float,
) -> None:
    # Pings alone must end the sessions; the health check would find the dead Studio at about the same time.
    stack = await run_stack(UNHEALTHY_SESSIONS="keep")
    studio = stack.studios[0]
    async with (await crowd_of(stack, 40)).running() as crowd:
        lost = crowd.of(await users_of(studio))
        kept = crowd.but(lost)
        await crowd.goes_on()

        await asyncio.to_thread(netfilter, studio, "-I", "INPUT", *rule)
        ruled_at = time.monotonic()
        await lost.until(lambda client: client.lives[0].ended is not None, 10, "told")
        await lost.until(lambda client: len(client.lives) > 1 and client.served, 10, "served again")
        await health_is(stack, 1, "unhealthy")
        await crowd.goes_on()

        assert {client.lives[0].close for client in lost} == {close}
        assert max((client.lives[0].ended or 0) - ruled_at for client in lost) <= told_within + SLACK_SECONDS
        assert max(client.away for client in lost) <= 3.0
        assert not [client for client in crowd if client.refusals]
        assert all(len(client.lives) == 1 for client in kept)

        await asyncio.to_thread(netfilter, studio, "-D", "INPUT", *rule)
        await health_is(stack, 1, "healthy", within=10)
        async with (await crowd_of(stack, 30, name="later")).running():
            assert any(user.startswith("later") for user in await users_of(studio))
        await crowd.finish()
        assert crowd.problems() == []
