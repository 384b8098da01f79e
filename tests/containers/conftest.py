"""The engine, the stack in containers, clients of it, and what the gateway says of itself.

The suite runs when it is asked for, by `nox -s containers` or by its path. Everything it starts has testcontainers'
session label or belongs to the session's Compose project, is removed after its test, and is looked for once more at
the end.
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
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID
from tests import asking

from memmie_harness.containers import (
    AnswerWaitStrategy,
    ContainerError,
    FakeStudioContainer,
    GatewayContainer,
    ServiceContainer,
    StackContainers,
)
from memmie_harness.containers.engine import engine_answers
from memmie_harness.numbered import Crowd, NumberedClient

HERE = Path(__file__).parent
HOW = "`nox -s containers` runs it; it needs a Docker engine (see CONTRIBUTING.md, Container tests)"

OPEN = {"CONNECT_RATE_PER_IP": 0, "MAX_CONNECTIONS_PER_IP": 0}
"""All clients of a test come from one address."""

FAST = {
    "DIAL_TIMEOUT_SECONDS": 2,
    "DRAIN_SECONDS": 1,
    "CLOSE_TIMEOUT_SECONDS": 1,
    "HEALTH_INTERVAL_SECONDS": 1,
    "HEALTH_RECOVERY_SECONDS": 0.25,
    "HEALTH_TIMEOUT_SECONDS": 2,
    "PING_INTERVAL_SECONDS": 1,
    "PING_TIMEOUT_SECONDS": 3,
}
"""The gateway's clocks run fast here, but leave a busy machine its time; a test must tell one from the other."""

PING_SECONDS = 20
"""How long the engine may take to say that it is there."""

TEST_SECONDS = 180
"""For one test, the start of its stack and its removal: a busy machine takes many times an idle one's 10 seconds."""

PROJECT = f"memmie-test-{SESSION_ID[:8]}"
"""The session's Compose project."""

IMAGES = ("memmie-gateway:latest", "memmie-fake-auth:latest", "memmie-fake-studio:latest")

FailedKey = pytest.StashKey[bool]()


def is_asked_for(config: pytest.Config) -> bool:
    """Whether the run was started in this folder, or with a path in it."""
    where = config.invocation_params.dir
    paths = [(where / argument.partition("::")[0]).resolve() for argument in config.args]
    return any(path.is_relative_to(HERE) for path in paths)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the suite's tests their time; leave them out of an everyday run, and say so."""
    asked_for = is_asked_for(config)
    for item in items:
        if item.path.is_relative_to(HERE):
            # By a signal, so that the fixtures still remove their containers.
            item.add_marker(pytest.mark.timeout(TEST_SECONDS, method="signal"))
            if not asked_for:
                item.add_marker(
                    pytest.mark.skip(reason=f"the container suite is not part of this run: {HOW}")
                )


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
        with engine_answers():
            DockerClient(
                timeout=PING_SECONDS
            ).client.close()  # its first act is to ask for the engine's version
            client = DockerClient().client
    except ContainerError as error:
        words = f"{error}: {HOW}"
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(words, pytrace=False)
        pytest.skip(words)
    assert_images_are_of(client, os.environ.get("MEMMIE_IMAGE_REVISION"))
    yield client
    left = [*leftovers(client)]
    client.close()
    assert not left, "these were left behind, and were removed now"


def assert_images_are_of(client: docker.DockerClient, revision: str | None) -> None:
    """Whoever has just built the images names their commit; what they show must be this one's."""
    for image in IMAGES if revision else ():
        built_from = client.images.get(image).labels["org.opencontainers.image.revision"]
        assert built_from == revision, (
            f"{image} is of {built_from}, not of {revision}: `nox -s images` builds it"
        )


def leftovers(client: docker.DockerClient) -> Iterator[str]:
    """Remove what is left of this session; yield what it was."""
    for label in (f"{LABEL_SESSION_ID}={SESSION_ID}", f"com.docker.compose.project={PROJECT}"):
        mine: dict[str, Any] = {"label": label}
        for container in client.containers.list(all=True, filters=mine):
            yield f"container {container.name} of {container.attrs['Config']['Image']}"
            container.remove(force=True, v=True)
        for network in client.networks.list(filters=mine):
            yield f"network {network.name}"
            network.remove()
        for volume in client.volumes.list(filters=mine):
            yield f"volume {volume.name}"
            volume.remove(force=True)


@pytest.fixture(scope="session")
def compose_project() -> str:
    """The name of this session's Compose project, which `engine` looks for at the end."""
    return PROJECT


@pytest.fixture
async def run_stack(
    engine: docker.DockerClient,  # noqa: ARG001 - answers, or the test is skipped
    request: pytest.FixtureRequest,
    health_is: Callable[..., Awaitable[float]],
) -> AsyncIterator[Callable[..., Awaitable[StackContainers]]]:
    """Starts stacks; each is removed after the test, and its logs are shown if that failed.

    A gateway is ready with its first healthy Studio; a test can count on all of those that were started.
    """
    stacks: list[StackContainers] = []
    starts: list[asyncio.Future[StackContainers]] = []

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
        starts.append(asyncio.ensure_future(asyncio.to_thread(stack.start, without=late)))
        await asyncio.shield(starts[-1])
        if until_ready:
            for number, studio in enumerate(stack.studios, 1):
                if studio not in late:
                    await health_is(stack, number, "healthy")
        return stack

    yield run
    await asyncio.gather(*starts, return_exceptions=True)  # a start goes on when its test was interrupted
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
async def squatter(engine: docker.DockerClient) -> AsyncIterator[FakeStudioContainer]:  # noqa: ARG001 - answers, or the test is skipped
    """A Studio that belongs to nobody, on no network of a test as yet: for an address that becomes free."""
    studio = FakeStudioContainer()
    await asyncio.to_thread(studio.start)
    yield studio
    await asyncio.to_thread(studio.stop)


@pytest.fixture
def address_on() -> Callable[[StackContainers, ServiceContainer], Awaitable[str]]:
    """The address that a container has on a stack's network now."""

    def read(stack: StackContainers, service: ServiceContainer) -> str:
        service.reload()
        networks = service.get_wrapped_container().attrs["NetworkSettings"]["Networks"]
        return str(networks[stack.network.name]["IPAddress"])

    async def ask(stack: StackContainers, service: ServiceContainer) -> str:
        return await asyncio.to_thread(read, stack, service)

    return ask


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


@pytest.fixture
def metric(http: aiohttp.ClientSession) -> Callable[..., Awaitable[float]]:
    """Sums the samples of a name at a gateway's `/metrics` that have the given labels."""

    async def read(gateway: GatewayContainer, name: str, **labels: str) -> float:
        return await asking.metric(http, gateway.get_url(), name, **labels)

    return read


@pytest.fixture
def ready(http: aiohttp.ClientSession) -> Callable[[GatewayContainer], Awaitable[tuple[int, dict[str, Any]]]]:
    """Asks a gateway's `/ready`; returns the status and the body."""
    return lambda gateway: asking.ready(http, gateway.get_url())


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
