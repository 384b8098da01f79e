"""`docker compose up --wait`, as the README has it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import docker
import pytest

from memmie_harness.client import connect, heartbeat
from memmie_harness.tokens import mint_token

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
ANY_PORTS = {"GATEWAY_PORT": "0", "AUTH_PORT": "0", "STUDIO_1_PORT": "0", "STUDIO_2_PORT": "0"}

Compose = Callable[..., str]


def compose_command() -> list[str]:
    """Docker's plug-in where there is one, else the same program from PyPI."""
    plug_in = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)  # noqa: S607 - the user's own
    if plug_in.returncode == 0:
        return ["docker", "compose"]
    alone = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert alone is not None, "there is no Compose: `nox -s containers` installs it"
    return [alone]


@pytest.fixture
def compose(engine: docker.DockerClient) -> Iterator[Compose]:
    """Runs Compose on our file as a project of its own on free ports; everything of it is removed."""
    project = f"memmie-test-{uuid.uuid4().hex[:8]}"
    command = [*compose_command(), "--file", str(FILE), "--project-name", project]

    def run(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*command, *arguments],
            env={**os.environ, **ANY_PORTS},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    run("down", "--volumes", "--timeout", "10")
    mine = {"label": f"com.docker.compose.project={project}"}
    assert not engine.containers.list(all=True, filters=mine)  # type: ignore[arg-type] # its type is too narrow
    assert not engine.networks.list(filters=mine)
    assert not engine.volumes.list(filters=mine)


async def test_the_stack_comes_up_healthy_and_carries_a_message(
    compose: Compose, http: aiohttp.ClientSession
) -> None:
    await asyncio.to_thread(compose, "up", "--wait", "--no-build", "--pull", "never")

    services = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
    assert {service["Service"]: service["Health"] for service in services} == dict.fromkeys(
        ("gateway", "auth", "studio-1", "studio-2"), "healthy"
    )
    published = [
        port["URL"] for service in services for port in service["Publishers"] if port["PublishedPort"]
    ]
    assert published == ["127.0.0.1"] * 4

    gateway, auth = compose("port", "gateway", "8000").strip(), compose("port", "auth", "8001").strip()
    async with http.get(f"http://{gateway}/ready") as answer:
        assert set((await answer.json())["studios"].values()) == {"healthy"}
    connection = await connect(f"ws://{gateway}/ws", mint_token(f"http://{auth}", "u1"))
    await heartbeat(connection)

    # `docker compose stop` is a drain: the client is told before its connection ends.
    stopping = asyncio.create_task(asyncio.to_thread(compose, "stop", "gateway"))
    await connection.wait_closed()
    assert (connection.close_code, connection.close_reason) == (1001, "the gateway is shutting down")
    await stopping


def test_prometheus_is_there_by_profile_only(compose: Compose) -> None:
    everyday = json.loads(compose("config", "--format", "json"))["services"]
    with_metrics = json.loads(compose("--profile", "metrics", "config", "--format", "json"))["services"]

    assert sorted(everyday) == ["auth", "gateway", "studio-1", "studio-2"]
    assert with_metrics.keys() - everyday.keys() == {"prometheus"}
    [mount] = with_metrics["prometheus"]["volumes"]
    assert Path(mount["source"]).is_file()
    # Its configuration asks the gateway by the name and on the port that the service has.
    assert '["gateway:8000"]' in Path(mount["source"]).read_text()
