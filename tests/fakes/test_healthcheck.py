"""`healthcheck`, which a container's health check runs."""

from __future__ import annotations

import asyncio

import pytest

from memmie_fake_auth import FakeAuth
from memmie_fake_auth.cli import main as auth_main
from memmie_fake_studio import FakeStudio
from memmie_fake_studio.cli import main as studio_main


@pytest.mark.parametrize(("fake", "main"), [(FakeAuth, auth_main), (FakeStudio, studio_main)])
async def test_it_tells_by_its_exit_code_whether_the_fake_serves(
    fake: type[FakeAuth | FakeStudio], main: type, capsys: pytest.CaptureFixture[str]
) -> None:
    async with fake(port=0) as running:
        ask = ["healthcheck", "--port", str(running.port)]
        assert await asyncio.to_thread(main, ask) == 0
        # Scripted faults do not make a fake unhealthy, because it is made for them.
        running.script("error", status=500)
        assert await asyncio.to_thread(main, ask) == 0
        assert capsys.readouterr().err == ""

    assert await asyncio.to_thread(main, ask) == 1
    assert f"no answer from 127.0.0.1:{running.port}: " in capsys.readouterr().err
