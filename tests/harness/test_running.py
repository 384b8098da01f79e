from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.clock import loop_clock

from memmie_harness.targets import TargetError, UrlTarget
from memmie_harness.targets.ready_when import ReadyWhen


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
            TargetError, match=r"did not answer 200 within 30 s; the last result: 503 draining"
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


@pytest.mark.parametrize("status", [401, 404, 426])
async def test_a_gateway_without_a_route_ready_is_not_waited_for(status: int) -> None:
    async with served([status]) as url, asyncio.timeout(5):
        await UrlTarget(url).start()


@pytest.mark.parametrize(
    ("ready", "message"),
    [
        (ReadyWhen(path="/status"), "a 2xx from /status, which answers 404"),
        (ReadyWhen(path="/ready"), "a 2xx from /ready, which answers 503"),
    ],
)
async def test_another_path_says_that_it_is_ready(ready: ReadyWhen, message: str) -> None:
    async with served([503, 204]) as url:
        with pytest.raises(TargetError, match=f"^the gateway at {url}: .* 0 s; missing was {message}"):
            await UrlTarget(url, ready=ready, start_seconds=0).start()
        if ready.path == "/ready":
            await UrlTarget(url, ready=ready).start()


async def test_a_port_says_that_it_is_ready() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        target = UrlTarget(
            f"http://127.0.0.1:{taken.getsockname()[1]}", ready=ReadyWhen(port=True), start_seconds=0
        )
        with pytest.raises(TargetError, match="missing was a listener on port"):
            await target.start()
        taken.listen()
        await target.start()


@pytest.mark.parametrize(
    ("given", "url", "ws_url"),
    [
        ("ws://gw.test:8000/chat?v=1", "http://gw.test:8000", "ws://gw.test:8000/chat?v=1"),
        ("wss://gw.test", "https://gw.test", "wss://gw.test/ws"),
        ("http://gw.test/prefix/", "http://gw.test/prefix", "ws://gw.test/prefix/ws"),
    ],
)
def test_the_address_of_the_websocket_route_will_do(given: str, url: str, ws_url: str) -> None:
    target = UrlTarget(given)
    assert (target.url, target.ws_url) == (url, ws_url)
