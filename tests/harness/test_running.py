from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.clock import loop_clock

from memmie_harness.targets import TargetError, UrlTarget


@contextlib.asynccontextmanager
async def served(statuses: list[int]) -> AsyncIterator[str]:
    """A gateway whose `/ready` answers these, then always the last one."""

    async def ready(_request: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0) if len(statuses) > 1 else statuses[0], text="draining")

    app = web.Application()
    app.router.add_get("/ready", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_waits_until_it_is_ready_and_leaves_it_running() -> None:
    async with served([503, 503, 200]) as url:
        target = UrlTarget(url + "/")
        await target.start()
        await target.stop()

        assert target.url == url
        assert target.ws_url == url.replace("http", "ws") + "/ws"
        await target.start()


@pytest.fixture
async def over_after_one_answer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Let all the time be over when the first answer was read, however long that took, and not before."""
    sleep = asyncio.sleep
    with loop_clock() as clock:

        async def pause(seconds: float) -> None:
            clock.put_forward(30)
            await sleep(seconds)

        # It pauses between two questions.
        monkeypatch.setattr("memmie_harness.targets.readiness.asyncio.sleep", pause)
        yield


@pytest.mark.usefixtures("over_after_one_answer")
async def test_says_what_ready_answered_last() -> None:
    async with served([503]) as url:
        with pytest.raises(
            TargetError, match=r"did not answer 200 within 30 s; the last answer: 503 draining"
        ):
            await UrlTarget(url, start_seconds=30).start()


@pytest.mark.usefixtures("over_after_one_answer")
async def test_says_that_nobody_listens() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TargetError, match="Cannot connect"):
            await UrlTarget(url, start_seconds=30).start()


async def test_start_need_not_wait_until_ready() -> None:
    async with served([503]) as url, asyncio.timeout(5):
        await UrlTarget(url).start(until_ready=False)
