"""`memmie-gateway healthcheck`, which a container's health check runs, beside the gateway it asks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from memmie_fake_studio import FakeStudio
from memmie_harness.targets import Target


async def healthcheck(target: Target, *options: str) -> tuple[int | None, str]:
    where = urlsplit(target.url)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "memmie_gateway", "healthcheck", *options),
        # A proxy setting is for other hosts: the gateway asked is on this one.
        env={
            "HOST": "0.0.0.0",
            "Port": str(where.port),  # names of settings may be written in any case
            "http_proxy": "http://127.0.0.1:1",
            "STUDIO_WS_URLS": "not even valid",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    return process.returncode, complaint.decode()


@pytest.mark.memmie(studios=1, env={"HEALTH_INTERVAL_SECONDS": 0.2, "HEALTH_RECOVERY_SECONDS": 0.2})
async def test_it_tells_by_its_exit_code_whether_the_gateway_is_ready(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], health_is: Callable[..., Awaitable[None]]
) -> None:
    assert await healthcheck(memmie_gateway) == (0, "")
    assert await healthcheck(memmie_gateway, "--live") == (0, "")

    await memmie_studios[0].stop()
    await health_is(memmie_studios[0].ws_url, "unhealthy")
    exit_code, complaint = await healthcheck(memmie_gateway)
    assert exit_code == 1
    assert "/ready answered 503" in complaint
    assert "unhealthy" in complaint
    assert await healthcheck(memmie_gateway, "--live") == (0, "")

    await memmie_gateway.stop()
    exit_code, complaint = await healthcheck(memmie_gateway)
    assert exit_code == 1
    assert complaint.count("\n") == 1
    assert "no answer from http://" in complaint
    assert "/ready: " in complaint
    exit_code, complaint = await healthcheck(memmie_gateway, "--live")
    assert exit_code == 1
    assert "/health: " in complaint
