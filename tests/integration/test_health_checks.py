"""How a Studio is checked: any WebSocket server works behind the gateway, and what was checked is told (spec §3)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from memmie_fake_studio import FakeStudio
from memmie_gateway.app.check import check as check_all
from memmie_gateway.app.settings import Settings
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect, StartGateway
from memmie_harness.targets import Target
from memmie_harness.targets.process import clean_environment

Ready = Callable[[Target], Awaitable[tuple[int, dict[str, Any]]]]
Refused = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.memmie(target="inprocess")

NO_LIMITS = {"MAX_CONNECTIONS_PER_IP": 0, "CONNECT_RATE_PER_IP": 0, "HEALTH_RECOVERY_SECONDS": 0.1}


class PlainServer:
    """A WebSocket server that echoes at `/ws`, says "well" at `/healthz`, and has nothing else."""

    def __init__(self) -> None:
        self.port = 0
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def echo(self, connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        self.paths.append(path)
        if path == "/healthz":
            return connection.respond(HTTPStatus.OK, "well\n" * 50_000)
        return None if path == "/ws" else connection.respond(HTTPStatus.NOT_FOUND, "nothing here\n")


@pytest.fixture
async def plain() -> AsyncIterator[PlainServer]:
    server = PlainServer()
    async with serve(server.echo, "127.0.0.1", 0, process_request=server.answer) as serving:
        server.port = next(iter(serving.sockets)).getsockname()[1]
        yield server


@pytest.mark.parametrize(
    ("check", "path", "checked"),
    [
        pytest.param("ws", "/ws", "ws://127.0.0.1:{}/ws", id="a WebSocket at another path"),
        pytest.param("http", "/healthz", "http://127.0.0.1:{}/healthz", id="an HTTP request"),
        pytest.param("tcp", "", "tcp://127.0.0.1:{}", id="a connection"),
        pytest.param("off", "", None, id="nothing"),
    ],
)
async def test_any_websocket_server_works(
    memmie_start_gateway: StartGateway,
    memmie_connect: Connect,
    ready: Ready,
    plain: PlainServer,
    check: str,
    path: str,
    checked: str | None,
) -> None:
    gateway = await memmie_start_gateway(
        {**NO_LIMITS, "STUDIO_WS_URLS": plain.url, "HEALTH_CHECK": check, "HEALTH_PATH": path}
    )
    connection = await memmie_connect("u1", target=gateway)
    await connection.send("hello")
    assert await connection.recv() == "hello"
    assert (await ready(gateway))[1]["studios"] == {plain.url: "healthy"}
    line = await gateway.wait_for_log(lambda line: line["event"] == "backend_health")
    assert line["state"] == "healthy"
    assert line["checked"] == (checked and checked.format(plain.port))
    assert set(plain.paths) <= {"/ws", path}
    assert [line["event"] for line in gateway.logs()].count("backend_health") == 1


@pytest.mark.parametrize(
    ("check", "checked"),
    [("ws", "ws://127.0.0.1:{}/ws/health"), ("http", "http://127.0.0.1:{}/ws/health")],
)
async def test_a_check_that_fails_says_what_was_checked(
    memmie_start_gateway: StartGateway, plain: PlainServer, check: str, checked: str
) -> None:
    gateway = await memmie_start_gateway(
        {**NO_LIMITS, "STUDIO_WS_URLS": plain.url, "HEALTH_CHECK": check}, until_ready=False
    )
    line = await gateway.wait_for_log(lambda line: line["event"] == "backend_health")
    assert (line["state"], line["checked"]) == ("unhealthy", checked.format(plain.port))
    assert checked.format(plain.port) in line["detail"]
    assert "404" in line["detail"]


@pytest.mark.parametrize(
    ("check", "path", "ok", "words"),
    [
        ("ws", "", False, "the health check of ws://127.0.0.1:{}/ws/health failed"),
        ("ws", "/ws", True, "the backend answers a ping at ws://127.0.0.1:{}/ws"),
        ("http", "/healthz", True, "the backend answers a GET request at http://127.0.0.1:{}/healthz"),
        ("http", "/nothing", False, "http://127.0.0.1:{}/nothing failed (it answered 404)"),
        ("tcp", "", True, "the backend accepts a connection at tcp://127.0.0.1:{}"),
        ("off", "", True, "the gateway makes no health checks, because HEALTH_CHECK is off"),
    ],
)
async def test_check_says_what_was_checked(
    plain: PlainServer,
    check: str,
    path: str,
    ok: bool,  # noqa: FBT001 - a column of the table
    words: str,
) -> None:
    environment = {
        "STUDIO_WS_URLS": plain.url,
        "HEALTH_CHECK": check,
        "HEALTH_PATH": path,
        "AUTH_URL": "http://127.0.0.1:1",
    }
    _, result = await check_all(Settings.from_env(environment))
    assert (result.target, result.ok) == (plain.url, ok)
    assert words.format(plain.port) in result.detail


async def test_the_command_says_so_if_it_finds_nobody(plain: PlainServer) -> None:
    environment = {
        "STUDIO_WS_URLS": "ws://127.0.0.1:1/ws",
        "HEALTH_CHECK": "off",
        "AUTH_URL": plain.url.replace("ws:", "http:"),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memmie_gateway", "check"),
        env=clean_environment(environment),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert b"the health check of tcp://127.0.0.1:1 failed (Connection refused)" in output
    assert b"choose another check" not in output


@pytest.mark.memmie(env={**NO_LIMITS, "HEALTH_CHECK": "off"})
@pytest.mark.parametrize("fault", ["reset", "garbage", "refuse"])
async def test_without_checks_one_user_moves_nobodys_health(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    ready: Ready,
    refusal: Refused,
    fault: str,
) -> None:
    for studio in memmie_studios:
        studio.script(fault, route="/ws", user_id="bad")
    for number in range(6):
        assert (await refusal("bad")).code == "studio_failed"
        await heartbeat(await memmie_connect(f"u{number}"))
    assert set((await ready(memmie_gateway))[1]["studios"].values()) == {"healthy"}


async def test_without_checks_a_studio_is_used_until_dials_fail_and_then_tried_again(
    memmie_start_gateway: StartGateway,
    memmie_connect: Connect,
    ready: Ready,
) -> None:
    server = PlainServer()
    async with serve(server.echo, "127.0.0.1", 0, process_request=server.answer) as serving:
        server.port = next(iter(serving.sockets)).getsockname()[1]
        gateway = await memmie_start_gateway(
            {**NO_LIMITS, "STUDIO_WS_URLS": server.url, "HEALTH_CHECK": "off", "HEALTH_RECOVERY_SECONDS": 1}
        )
        await memmie_connect("u1", target=gateway)
    states = []
    while "unhealthy" not in states:
        with pytest.raises(Exception, match="HTTP 503"):
            await memmie_connect("u1", target=gateway)
        states = [line["state"] for line in gateway.logs() if line["event"] == "backend_health"]
    assert (await ready(gateway))[0] == 503
    async with serve(server.echo, "127.0.0.1", server.port, process_request=server.answer):
        await gateway.wait_for_log(
            lambda line: (
                line["event"] == "backend_health"
                and line["state"] == "healthy"
                and line["detail"]
                == "HEALTH_CHECK is off, so it counts as healthy until connections to it fail"
            )
        )
        connection = await memmie_connect("u1", target=gateway)
        await connection.send("hello")
        assert await connection.recv() == "hello"
        await connection.close()
