"""A page in a browser without a window, used by way of the browser's DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from tests.docs.programs import browser, running
from websockets.asyncio.client import ClientConnection, connect

LOADED = (
    "document.readyState === 'complete' || new Promise((done) => addEventListener('load', () => done(true)))"
)


class Page:
    """An open page.

    Args:
        devtools: the connection to the page's DevTools.
    """

    def __init__(self, devtools: ClientConnection) -> None:
        self._devtools = devtools
        self._numbers = itertools.count(1)

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        number = next(self._numbers)
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        await self._devtools.send(
            json.dumps({"id": number, "method": "Runtime.evaluate", "params": parameters})
        )
        while True:
            answer = json.loads(await self._devtools.recv())
            if answer.get("id") == number:
                assert "exceptionDetails" not in answer["result"], answer
                return answer["result"]["result"].get("value")

    async def until(self, condition: str) -> None:
        """Return when a JavaScript condition is true; it is checked whenever the page shows something new."""
        await self.evaluate(
            f"new Promise((done) => {{ const check = () => ({condition}) && done(true); check(); "
            "new MutationObserver(check).observe(document, { subtree: true, childList: true, characterData: true }); })"
        )


@contextlib.asynccontextmanager
async def opened(url: str, profile: Path) -> AsyncIterator[Page]:
    """Open a page; skip the test if no browser is installed."""
    async with running(*browser(profile), "--remote-debugging-port=0", url) as process:
        assert process.stdout is not None
        address = ""
        while not address:
            line = (await process.stdout.readline()).decode()
            assert line, "the browser ended"
            address = "".join(re.findall(r"DevTools listening on ws://([^/]+)/", line))
        rest = asyncio.create_task(process.stdout.read())  # so that the browser can go on writing
        try:
            async with connect(await _devtools_of(url, address), proxy=None, max_size=None) as devtools:
                page = Page(devtools)
                await page.evaluate(LOADED)
                yield page
        finally:
            process.kill()
            await rest


async def _devtools_of(url: str, address: str) -> str:
    """Return the address of a page's DevTools, from a browser that may still be loading the page."""
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"http://{address}/json/list") as response:
                for page in await response.json():
                    if page["url"].startswith(url):
                        return str(page["webSocketDebuggerUrl"])
