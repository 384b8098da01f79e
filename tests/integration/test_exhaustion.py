"""A gateway without open files: it says that it is full, and blames neither Auth nor Studio."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.targets.process import clean_environment
from memmie_harness.wiring import gateway_environment

OPEN_FILES = 64


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.memmie(studios=1)
async def test_without_open_files_clients_are_refused_and_nobody_else_is_blamed(
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    dial: Callable[..., Awaitable[ClientConnection]],
    http: aiohttp.ClientSession,
    host: str,
) -> None:
    [studio] = memmie_studios
    studio_url = studio.ws_url.replace("127.0.0.1", host)
    environment = gateway_environment(
        auth_url=memmie_auth.url,
        studio_ws_urls=[studio_url],
        extra={
            "LOG_FORMAT": "json",
            "DRAIN_SECONDS": 0,
            "CONNECT_RATE_PER_IP": 0,
            "MAX_CONNECTIONS_PER_IP": 0,
            "HEALTH_FALL": 1,
        },
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memmie_gateway", "serve"),
        env=clean_environment(environment),
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES)),
    )
    assert process.stdout is not None
    try:
        listening = json.loads(await process.stdout.readline())
        url = f"{listening['url'].replace('http', 'ws')}/ws"
        connections: list[ClientConnection] = []

        async def fill() -> None:
            while len(connections) < OPEN_FILES:
                connections.append(await dial(url, memmie_auth.mint(f"u{len(connections)}")))

        with pytest.raises(InvalidStatus) as refused:
            await fill()
        answer = refused.value.response
        assert answer.body is not None
        assert (answer.status_code, json.loads(answer.body)["code"]) == (503, "overloaded")

        for connection in connections[-4:]:
            await connection.close()
        connections[-4:] = [await dial(url, memmie_auth.mint("later"))]
        await asyncio.gather(*(heartbeat(connection) for connection in connections))
        async with http.get(f"{listening['url']}/ready") as response:
            assert (await response.json())["studios"] == {studio_url: "healthy"}
    finally:
        process.terminate()
        output, _ = await process.communicate()
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert "dial_failed" not in events
    assert process.returncode == 0
