"""`docker compose up --wait`, as docs/deploy.md has it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import docker
import pytest

from memmie_gateway.app.settings import Settings
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
def compose(engine: docker.DockerClient, compose_project: str) -> Iterator[Compose]:
    """Runs Compose on our file as the session's project on free ports; everything of it is removed."""
    command = [*compose_command(), "--file", str(FILE), "--project-name", compose_project]

    def run(*arguments: str, **environment: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*command, *arguments],
            env={**os.environ, **ANY_PORTS, "GATEWAY_ENV_FILE": "/nowhere", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    run("down", "--volumes", "--timeout", "10")
    mine = {"label": f"com.docker.compose.project={compose_project}"}
    assert not engine.containers.list(all=True, filters=mine)  # type: ignore[arg-type] # its type is too narrow
    assert not engine.networks.list(filters=mine)
    assert not engine.volumes.list(filters=mine)


@pytest.fixture
def described(compose: Compose) -> Callable[..., dict[str, Any]]:
    """The services as Compose understands our file, by name."""

    def describe(*options: str, **environment: str) -> dict[str, Any]:
        services: dict[str, Any] = json.loads(compose(*options, "config", "--format", "json", **environment))[
            "services"
        ]
        return services

    return describe


async def test_the_stack_comes_up_healthy_and_carries_a_message(
    engine: docker.DockerClient, compose: Compose, http: aiohttp.ClientSession
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

    # The gateway is healthy with its first healthy Studio; the other one is soon.
    gateway, auth = compose("port", "gateway", "8000").strip(), compose("port", "auth", "8001").strip()
    expected = dict.fromkeys(("ws://studio-1:8010/ws", "ws://studio-2:8010/ws"), "healthy")
    said: dict[str, str] = {}
    until = time.monotonic() + 10
    while said != expected and time.monotonic() < until:
        await asyncio.sleep(0.05)
        async with http.get(f"http://{gateway}/ready") as answer:
            said = (await answer.json())["studios"]
    assert said == expected
    connection = await connect(f"ws://{gateway}/ws", mint_token(f"http://{auth}", "u1"))
    await heartbeat(connection)

    # `docker compose stop` is a drain: the client is told before its connection ends.
    stopping = asyncio.create_task(asyncio.to_thread(compose, "stop", "gateway"))
    await connection.wait_closed()
    assert (connection.close_code, connection.close_reason) == (1001, "the gateway is shutting down")
    await stopping
    [stopped] = [service["ID"] for service in services if service["Service"] == "gateway"]
    assert engine.containers.get(stopped).attrs["State"]["ExitCode"] == 0


def test_every_service_is_hardened(described: Callable[..., dict[str, Any]]) -> None:
    for name, service in described("--profile", "metrics").items():
        hardened = {key: service.get(key) for key in ("read_only", "cap_drop", "security_opt")}
        assert hardened == {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
        }, name


def test_the_services_fit_together(described: Callable[..., dict[str, Any]]) -> None:
    services = described()
    gateway = services.pop("gateway")

    assert gateway["environment"]["AUTH_URL"] == "http://auth:8001"
    for name in ("studio-1", "studio-2"):
        command = services[name]["command"]
        assert command[command.index("--auth-url") + 1] == "http://auth:8001"
    # Compose stops a service before those that it depends on.
    assert gateway["depends_on"].keys() == services.keys()
    draining, closing = (
        float(Settings.model_fields[name].default) for name in ("drain_seconds", "close_timeout_seconds")
    )
    assert float(gateway["stop_grace_period"].removesuffix("s")) > draining + closing


def test_settings_of_the_gateway_come_from_a_file(
    described: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    settings = tmp_path / "settings.env"
    settings.write_text("MAX_CONNECTIONS_PER_USER=7\nDRAIN_SECONDS=1\nHOST=127.0.0.1\nPORT=9000\n")

    without = described()["gateway"]["environment"]
    assert "MAX_CONNECTIONS_PER_USER" not in without
    services = described(GATEWAY_ENV_FILE=str(settings))
    # Where it listens is the stack's own: its port is published, and a loopback address would reach nobody.
    assert services["gateway"]["environment"] == {
        **without,
        "MAX_CONNECTIONS_PER_USER": "7",
        "DRAIN_SECONDS": "1",
    }
    assert (without["HOST"], without["PORT"]) == ("0.0.0.0", "8000")


def test_prometheus_is_there_by_profile_only(described: Callable[..., dict[str, Any]]) -> None:
    everyday, with_metrics = described(), described("--profile", "metrics")

    assert sorted(everyday) == ["auth", "gateway", "studio-1", "studio-2"]
    assert with_metrics.keys() - everyday.keys() == {"prometheus"}
    [mount] = with_metrics["prometheus"]["volumes"]
    assert Path(mount["source"]).is_file()
    # Its configuration asks the gateway by the name and on the port that the service has.
    assert '["gateway:8000"]' in Path(mount["source"]).read_text()
