"""The callers of a chaos run: users of their own who send HTTP requests beside the clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final

import aiohttp
from tests.chaos.invariants import CALL_SECONDS
from tests.chaos.records import Call

EVERY_SECONDS: Final = 1.0
"""Between an answer and the next request of a caller."""

GIVE_UP_SECONDS: Final = 3 * CALL_SECONDS
"""How long a caller waits for an answer; a gateway must be faster, but may be frozen."""

PATH: Final = "/api/v1/blobs"


class Caller:
    """A user who creates blobs and asks for them, in turn.

    Args:
        user_id: the user.
        token: the user's token.
        address: called for each request, for the WebSocket address of a gateway.

    Attributes:
        calls: the requests, oldest first.
    """

    def __init__(self, user_id: str, token: str, address: Callable[[], str]) -> None:
        self.user_id = user_id
        self.calls: list[Call] = []
        self._headers = {"Authorization": f"Bearer {token}"}
        self._address = address
        self._finishing = False

    def finish(self) -> None:
        """Send no more requests."""
        self._finishing = True

    async def run(self, delay: float) -> None:
        """Send requests until `finish`.

        Args:
            delay: seconds until the first one, so that not all callers send theirs at once.
        """
        await asyncio.sleep(delay)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=GIVE_UP_SECONDS)) as http:
            while not self._finishing:
                method = "GET" if len(self.calls) % 2 else "POST"
                call = Call(self._address(), method, len(self.calls) + 1, time.monotonic())
                self.calls.append(call)
                await self._call(http, call)
                await asyncio.sleep(EVERY_SECONDS)

    async def _call(self, http: aiohttp.ClientSession, call: Call) -> None:
        url = call.url.replace("ws://", "http://").removesuffix("/ws") + PATH
        blob = {"processor_id": "p", "schema_id": "s", "data": {"number": str(call.number)}}
        body = blob if call.method == "POST" else None
        try:
            async with http.request(call.method, url, headers=self._headers, json=body) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            call.words = f"{type(error).__name__}: {error}"
        else:
            call.status = response.status
            if response.status >= 300:
                call.words = code_of(text)
        call.ended = time.monotonic()


def code_of(text: str) -> str:
    """Return the code in a refusal, or the beginning of another answer."""
    try:
        return str(json.loads(text)["code"])
    except (ValueError, KeyError, TypeError):
        return text[:100]
