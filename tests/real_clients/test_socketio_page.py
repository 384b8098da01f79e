"""socket.io-client in a page of another origin, in Chromium: with its default transports, and with long-polling alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.docs.page import opened
from tests.real_clients.clients import install

from memmie_gateway.core.outcomes import Cause
from memmie_harness.fixture_types import MintToken, StartGateway

LIBRARY = Path("node_modules/socket.io-client/dist/socket.io.min.js")

PAGE = """<!doctype html><title>Socket.IO</title><script src="/socket.io.js"></script><ul id="log"></ul>
<script>
  const log = (...words) => {
    document.getElementById("log").append(Object.assign(document.createElement("li"), { textContent: words.join(" ") }));
  };
  function start(url, token, transports) {
    const socket = io(url, { auth: { token }, reconnectionDelay: 20, reconnectionDelayMax: 50, ...(transports && { transports }) });
    socket.on("connect", async () => {
      const answer = await socket.emitWithAck("heartbeat");
      log("connected", answer.type, socket.io.engine.transport.name);
    });
    socket.on("connect_error", (error) => log("refused", error.data?.code ?? error.message));
  }
</script>"""


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """A web server with the page and the library."""
    folder = install(Path(__file__).parents[2] / ".nox" / "socketio-client")

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def library(_: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / LIBRARY)

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/socket.io.js", library)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.slow
@pytest.mark.memmie(studios=1, target="inprocess")
async def test_a_page_connects_and_comes_back(
    memmie_start_gateway: StartGateway, memmie_token: MintToken, site: str, tmp_path: Path
) -> None:
    gateway = await memmie_start_gateway({"ALLOWED_ORIGINS": site})
    async with opened(site, tmp_path / "profile") as page:

        async def start(token: str, transports: str = "null") -> None:
            await page.evaluate(f"start({json.dumps(gateway.url)}, {json.dumps(token)}, {transports})")

        def shown(words: str, times: int = 1) -> str:
            return f"document.body.innerText.split({json.dumps(words)}).length > {times}"

        await start(memmie_token("u1"))
        await page.until(shown("connected ack websocket"))
        for session in list(gateway._service.parts.sessions):  # type: ignore[attr-defined]
            session.end(Cause.DRAINING)
        await page.until(shown("connected ack", 2))
        await start(memmie_token("u2"), '["polling"]')
        await page.until(shown("connected ack polling"))
        await start("wrong")
        await page.until(shown("refused token_invalid"))


@pytest.mark.slow
@pytest.mark.memmie(studios=1, target="inprocess", env={"ALLOWED_ORIGINS": "https://app.example.com"})
async def test_a_page_of_another_origin_is_refused(
    memmie_start_gateway: StartGateway, memmie_token: MintToken, site: str, tmp_path: Path
) -> None:
    gateway = await memmie_start_gateway()
    async with opened(site, tmp_path / "profile") as page:
        arguments = ", ".join(map(json.dumps, (gateway.url, memmie_token("u1"))))
        await page.evaluate(f"start({arguments}, null)")
        await page.until('document.body.innerText.includes("refused xhr poll error")')
