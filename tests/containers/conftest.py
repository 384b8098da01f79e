"""The engine, the stack in containers, clients of it, and what the gateway says of itself.

The suite runs when it is asked for, by `nox -s containers` or by its path. Everything it starts has testcontainers'
session label, is removed after its test, and is looked for once more at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import docker
import pytest
from docker.errors import DockerException
from prometheus_client.parser import text_string_to_metric_families
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID

from memmie_harness.containers import (
    AnswerWaitStrategy,
    FakeStudioContainer,
    GatewayContainer,
    StackContainers,
)
from memmie_harness.numbered import Crowd, NumberedClient

HERE = Path(__file__).parent
HOW = "`nox -s containers` runs it; it needs a Docker engine (see README, Containers)"

OPEN = {"CONNECT_RATE_PER_IP": 0, "MAX_CONNECTIONS_PER_IP": 0}
"""All clients of a test come from one address."""

FAST = {
    "DIAL_TIMEOUT_SECONDS": 1,
    "DRAIN_SECONDS": 1,
    "CLOSE_TIMEOUT_SECONDS": 1,
    "HEALTH_INTERVAL_SECONDS": 1,
    "HEALTH_RECOVERY_SECONDS": 0.25,
    "HEALTH_TIMEOUT_SECONDS": 1,
    "PING_INTERVAL_SECONDS": 1,
    "PING_TIMEOUT_SECONDS": 1,
}
"""The gateway's clocks run fast here; how they relate is as in production."""

FailedKey = pytest.StashKey[bool]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the suite out of an everyday run, and say so."""
    if any("containers" in argument for argument in config.args):
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason=f"the container suite is not part of this run: {HOW}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FailedKey] = item.stash.get(FailedKey, False) or report.failed
    return report


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The engine's client; at the end nothing that this session made may be left."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        words = f"no Docker engine answers ({error}): {HOW}"
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(words, pytrace=False)
        pytest.skip(words)
    yield client
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL_SESSION_ID}={SESSION_ID}"}
    containers = client.containers.list(all=True, filters=mine)
    networks = client.networks.list(filters=mine)
    for container in containers:
        container.remove(force=True, v=True)
    for network in networks:
        network.remove()
    client.close()
    assert not containers + networks, "these were left behind, and were removed now"


@pytest.fixture
async def run_stack(
    engine: docker.DockerClient,  # noqa: ARG001 - answers, or the test is skipped
    request: pytest.FixtureRequest,
) -> AsyncIterator[Callable[..., Awaitable[StackContainers]]]:
    """Starts stacks; each is removed after the test, and its logs are shown if that failed."""
    stacks: list[StackContainers] = []

    async def run(
        *,
        studios: int = 3,
        without_studio: int = 0,
        until_ready: bool = True,
        clocks: Mapping[str, object] = FAST,
        **settings: object,
    ) -> StackContainers:
        stack = StackContainers(studios=studios, settings={**OPEN, **clocks, **settings})
        stacks.append(stack)
        if not until_ready:
            stack.gateway.waiting_for(AnswerWaitStrategy(stack.gateway.port, "/health"))
        late = (stack.studios[without_studio - 1],) if without_studio else ()
        await asyncio.to_thread(stack.start, without=late)
        return stack

    yield run
    for stack in stacks:
        if request.node.stash.get(FailedKey, False):
            print(stack.logs())  # noqa: T201 - pytest shows it with the failure
        await asyncio.to_thread(stack.stop)


@pytest.fixture
async def stack(run_stack: Callable[..., Awaitable[StackContainers]]) -> StackContainers:
    """Auth, three Studios and a gateway."""
    return await run_stack()


@pytest.fixture
def crowd_of() -> Callable[..., Awaitable[Crowd]]:
    """Makes clients, one of each user, that come back to whatever `address` then says."""

    async def make(
        stack: StackContainers,
        count: int,
        address: Callable[[], str] | None = None,
        *,
        name: str = "user",
        **options: Any,
    ) -> Crowd:
        url = stack.gateway.get_ws_url()  # asked once: it costs a call of the engine's
        users = [f"{name}-{number}" for number in range(1, count + 1)]

        def mint() -> list[str]:
            with ThreadPoolExecutor(8) as pool:
                return list(pool.map(stack.auth.mint, users))

        tokens = await asyncio.to_thread(mint)
        return Crowd(
            [
                NumberedClient(user, token, address or (lambda: url), **options)
                for user, token in zip(users, tokens, strict=True)
            ]
        )

    return make


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


@pytest.fixture
def metric(http: aiohttp.ClientSession) -> Callable[..., Awaitable[float]]:
    """Sums the samples of a name at a gateway's `/metrics` that have the given labels."""

    async def read(gateway: GatewayContainer, name: str, **labels: str) -> float:
        async with http.get(f"{gateway.get_url()}/metrics") as response:
            text = await response.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    return read


@pytest.fixture
def ready(http: aiohttp.ClientSession) -> Callable[[GatewayContainer], Awaitable[tuple[int, dict[str, Any]]]]:
    """Asks a gateway's `/ready`; returns the status and the body."""

    async def ask(gateway: GatewayContainer) -> tuple[int, dict[str, Any]]:
        async with http.get(f"{gateway.get_url()}/ready") as response:
            return response.status, await response.json()

    return ask


@pytest.fixture
def health_is(
    ready: Callable[[GatewayContainer], Awaitable[tuple[int, dict[str, Any]]]],
) -> Callable[..., Awaitable[float]]:
    """Waits until `/ready` says this of a Studio (counted from 1); returns the seconds it took.

    There is no other way than to ask again: what a gateway thinks is not pushed.
    """

    async def wait(stack: StackContainers, studio: int, state: str, within: float = 5.0) -> float:
        began = time.monotonic()
        said: object = None
        while (seconds := time.monotonic() - began) < within:
            _, body = await ready(stack.gateway)
            said = body["studios"]
            if body["studios"][stack.studio_ws_url(studio)] == state:
                return seconds
            await asyncio.sleep(0.02)
        raise AssertionError(f"studio {studio} was not {state} within {within:g} s: {said}")

    return wait


@pytest.fixture
def users_of() -> Callable[[FakeStudioContainer], Awaitable[set[str]]]:
    """The users with a live connection at a Studio, as that Studio says."""

    async def ask(studio: FakeStudioContainer) -> set[str]:
        live = await asyncio.to_thread(studio.connections)
        return {connection["user_id"] for connection in live if connection["user_id"]}

    return ask


@pytest.fixture
def received_by() -> Callable[[Collection[FakeStudioContainer]], Awaitable[dict[str, list[int]]]]:
    """The numbers of the messages that Studios received, by user, in the order they came."""

    def read(studio: FakeStudioContainer) -> list[tuple[str, int]]:
        entries = studio.log_entries(kind="message")
        return [(entry["user_id"], int(json.loads(entry["text"])["id"])) for entry in entries]

    async def ask(studios: Collection[FakeStudioContainer]) -> dict[str, list[int]]:
        numbers: dict[str, list[int]] = {}
        for studio in studios:
            for user, number in await asyncio.to_thread(read, studio):
                numbers.setdefault(user, []).append(number)
        return numbers

    return ask
