"""A Studio that also streams a user's events over HTTP; as a program, it can be killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import cast

from aiohttp import web

from memmie_fake_studio import FakeStudio
from memmie_fake_studio.connection import Connection
from memmie_fake_studio.subscriptions import Subscriptions


class Stream:
    """A connection to a stream of events, as the Studio sees it."""

    is_health_check = False

    def __init__(self, connection_id: str, user_id: str) -> None:
        self.id = connection_id
        self.user_id = user_id
        self.subscriptions = Subscriptions()
        self.waiting: asyncio.Queue[str] = asyncio.Queue()
        self.wire = self

    def push(self, text: str) -> None:
        self.waiting.put_nowait(text)

    def close(self, *_: object) -> None:
        self.waiting.put_nowait("")

    abort = close


class StreamingStudio(FakeStudio):
    """A fake Studio with `GET /api/v1/events`."""

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [*super().routes(), web.get("/api/v1/events", self._events)]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        stream = Stream(f"stream {next(self._numbers)}", request.headers["X-User-ID"])
        known = cast("Connection", stream)
        self._hub.add(known)
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b"retry: 20\n\n")
            while text := await stream.waiting.get():
                await response.write(f"data: {text}\n\n".encode())
        finally:
            self._hub.remove(known)
        return response


async def main() -> None:
    async with StreamingStudio() as studio:
        print(json.dumps({"url": studio.ws_url}), flush=True)  # noqa: T201 - a program
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
