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


class Page:
    """An open page.

    Args:
        devtools: the connection to the page's DevTools.
    """

    def __init__(self, devtools: ClientConnection) -> None:
        self._devtools = devtools
        self._numbers = itertools.count(1)

    async def visit(self, url: str) -> None:
        """Open an address, and return when the page and its scripts are loaded."""
        await self._call("Page.enable")
        await self._call("Page.navigate", url=url)
        while json.loads(await self._devtools.recv()).get("method") != "Page.loadEventFired":
            pass

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = await self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._devtools.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await self._devtools.recv())
            if answer.get("id") == number:
                return answer["result"]

    async def until(self, condition: str) -> None:
        """Return when a JavaScript condition is true; it is checked whenever the page shows something new."""
        await self.evaluate(
            f"new Promise((done) => {{ const check = () => ({condition}) && done(true); check(); "
            "new MutationObserver(check).observe(document, { subtree: true, childList: true, characterData: true }); })"
        )


@contextlib.asynccontextmanager
async def opened(url: str, profile: Path) -> AsyncIterator[Page]:
    """Open a page; skip the test if no browser is installed."""
    async with running(*browser(profile), "--remote-debugging-port=0", "about:blank") as process:
        assert process.stdout is not None
        address = ""
        while not address:
            line = (await process.stdout.readline()).decode()
            assert line, "the browser ended"
            address = "".join(re.findall(r"DevTools listening on ws://([^/]+)/", line))
        rest = asyncio.create_task(process.stdout.read())  # so that the browser can go on writing
        try:
            async with connect(await _devtools_of(address), proxy=None, max_size=None) as devtools:
                page = Page(devtools)
                await page.visit(url)
                yield page
        finally:
            process.kill()
            await rest


async def _devtools_of(address: str) -> str:
    """Return the address of the DevTools of the page that is open; it may not be there yet."""
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"http://{address}/json/list") as response:
                for page in await response.json():
                    if page["type"] == "page":
                        return str(page["webSocketDebuggerUrl"])
