"""What the images promise: whose they are, what is in them, how little they need, how they start and stop."""

from __future__ import annotations

import gzip
import json
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound
from docker.models.images import Image
from testcontainers.core.container import DockerContainer

from memmie_harness.containers import ContainerError, GatewayContainer, StackContainers, engine_time

IMAGES = ["memmie-gateway:latest", "memmie-fake-auth:latest", "memmie-fake-studio:latest"]
MEGABYTE = 1_000_000
USER = "10001:10001"

BASE = os.environ.get("PYTHON_IMAGE", "python:3.13-slim")
LOOK = (Path(__file__).parent / "look_inside.py").read_text()
SECOND = 1_000_000_000
"""In nanoseconds, as the engine counts."""


@pytest.fixture(scope="module")
def stack(engine: docker.DockerClient) -> Iterator[StackContainers]:  # noqa: ARG001 - answers, or the test is skipped
    with StackContainers(studios=1) as stack:
        yield stack


@pytest.fixture(scope="module")
def base(engine: docker.DockerClient) -> Image:
    """What the images were built on; BuildKit keeps what it pulled for that to itself."""
    try:
        return engine.images.get(BASE)
    except ImageNotFound:
        return engine.images.pull(BASE)


def look_into(image: str, user: str) -> dict[str, object]:
    container = DockerContainer(image).with_command(["-c", LOOK])
    container.with_kwargs(entrypoint="python", user=user, read_only=True)
    with container:
        assert container.wait() == 0, container.get_logs()
        seen: dict[str, object] = json.loads(container.get_logs()[0])
        return seen


def names_of(variables: list[str]) -> set[str]:
    return {variable.partition("=")[0] for variable in variables}


@pytest.mark.parametrize(
    ("image", "packages"),
    [
        (IMAGES[0], ["memmie_gateway"]),
        (IMAGES[1], ["memmie_fake_auth", "memmie_fake_base"]),
        (IMAGES[2], ["memmie_fake_base", "memmie_fake_studio"]),
    ],
)
@pytest.mark.usefixtures("engine")
def test_an_image_holds_what_it_runs_and_nothing_that_built_it(image: str, packages: list[str]) -> None:
    expected = {
        "tools": [],
        "modules": [],
        "packages": packages,
        "caches": [],
        "dotfiles": [],
        "loose": [],
        "times": [],
        "checked bytecode": [],
    }
    assert look_into(image, "0") == {**expected, "uid": 0}
    # What root may not be shown, by a package say, the user that it runs as is not either.
    assert look_into(image, "") == {**expected, "uid": 10001}


@pytest.mark.parametrize(
    ("image", "port"), [(IMAGES[0], "8000/tcp"), (IMAGES[1], "8001/tcp"), (IMAGES[2], "8010/tcp")]
)
def test_an_image_says_what_it_is(engine: docker.DockerClient, base: Image, image: str, port: str) -> None:
    config = engine.images.get(image).attrs["Config"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}

    assert labels["title"] == image.removesuffix(":latest")
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    assert config["User"] == USER
    assert config["ExposedPorts"] == {port: {}}
    assert config["Healthcheck"] == {
        "Test": ["CMD", labels["title"], "healthcheck"],
        "Interval": 10 * SECOND,
        "Timeout": 5 * SECOND,
        "StartPeriod": 30 * SECOND,
        "Retries": 3,
    }
    assert names_of(config["Env"]) == names_of(base.attrs["Config"]["Env"]) | {"PATH", "PYTHONUNBUFFERED"}

    container = DockerContainer(image).with_command(["version"])
    with container:
        assert container.wait() == 0
        assert container.get_logs()[0].decode().split()[-1] == labels["version"]


def test_the_gateways_image_is_small(engine: docker.DockerClient, base: Image) -> None:
    """Its own layers, those over the base's, compressed as a registry would keep them."""
    image = engine.images.get(IMAGES[0])
    layers_of_base = base.attrs["RootFS"]["Layers"]
    assert image.attrs["RootFS"]["Layers"][: len(layers_of_base)] == layers_of_base

    compressed = 0
    with tempfile.TemporaryFile() as saved:
        for chunk in image.save():
            saved.write(chunk)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as archive:
            manifest = archive.extractfile("manifest.json")
            assert manifest is not None
            [described] = json.load(manifest)
            for layer in described["Layers"][len(layers_of_base) :]:
                member = archive.extractfile(layer)
                assert member is not None
                compressed += len(gzip.compress(member.read(), compresslevel=6))
    print(f"gateway image: {compressed / MEGABYTE:.1f} MB compressed over its base")  # noqa: T201 - for the report

    assert 0 < compressed <= 60 * MEGABYTE


def test_a_gateway_is_ready_two_seconds_after_what_it_needs(stack: StackContainers) -> None:
    """From its process's start to 200 of `/ready`: the best of three, which says most of it and least of the machine."""
    times: list[float] = []
    for number in range(3):
        gateway = stack.make_gateway(f"gateway-{number}")
        gateway.start()
        ready = time.time()
        gateway.reload()
        times.append(ready - engine_time(gateway.get_wrapped_container().attrs["State"]["StartedAt"]))
        gateway.stop()
    print("ready after", ", ".join(f"{seconds:.2f} s" for seconds in times))  # noqa: T201 - for the report

    assert min(times) < 2.0


def test_ports_are_published_on_loopback_alone(stack: StackContainers) -> None:
    for service in (stack.gateway, stack.auth, *stack.studios):
        published = service.get_wrapped_container().attrs["NetworkSettings"]["Ports"][f"{service.port}/tcp"]
        assert {each["HostIp"] for each in published} == {"127.0.0.1"}


def test_a_gateway_needs_no_right_and_no_writable_file(stack: StackContainers) -> None:
    host_config = stack.gateway.get_wrapped_container().attrs["HostConfig"]
    assert host_config["ReadonlyRootfs"]
    assert host_config["CapDrop"] == ["ALL"]
    assert host_config["SecurityOpt"] == ["no-new-privileges:true"]

    # It runs so (it is ready), and so do its other commands.
    assert stack.gateway.exec(["memmie-gateway", "healthcheck"]) == (0, b"")
    assert stack.gateway.exec(["memmie-gateway", "healthcheck", "--live"]) == (0, b"")
    assert stack.gateway.exec(["memmie-gateway", "check"])[0] == 0


def test_the_fakes_health_checks_answer(stack: StackContainers) -> None:
    assert stack.auth.exec(["memmie-fake-auth", "healthcheck"]) == (0, b"")
    assert stack.studios[0].exec(["memmie-fake-studio", "healthcheck"]) == (0, b"")


@pytest.mark.usefixtures("engine")
def test_a_stop_is_heard_by_every_service() -> None:
    """SIGTERM reaches the process itself, which ends at once and well, long before it would be killed."""
    with StackContainers(studios=1) as stack:
        containers = [each.get_wrapped_container() for each in (stack.gateway, stack.auth, *stack.studios)]
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda container: container.stop(timeout=30), containers))

        assert time.monotonic() - began < 20
        assert [container.wait()["StatusCode"] for container in containers] == [0, 0, 0]


@pytest.mark.usefixtures("engine")
def test_a_bad_setting_is_told_at_once_and_nothing_is_left() -> None:
    gateway = GatewayContainer().with_settings({"PORT": "eighty"})
    began = time.monotonic()
    with pytest.raises(
        ContainerError, match=r"ended before /ready(.|\n)*PORT='eighty': must be a whole number"
    ):
        gateway.start()

    assert time.monotonic() - began < 20
    assert gateway.log_tail() == ""


def test_a_missing_image_is_told_with_what_builds_it(engine: docker.DockerClient) -> None:
    with pytest.raises(ImageNotFound):
        engine.images.get("memmie-none:latest")
    with pytest.raises(
        ContainerError, match=r"there is no image memmie-none:latest\. Build it with `nox -s images`"
    ):
        GatewayContainer("memmie-none:latest").start()
