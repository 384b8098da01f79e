"""The line of questions in one trial, which are asked one after the other (see `core.auth.circuit`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Trial:
    """Lets one question be asked at a time, in the order in which they came, until the trial is over."""

    def __init__(self) -> None:
        self._busy = False
        self._over = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        state = "over" if self._over else "busy" if self._busy else "idle"
        return f"<Trial {state} waiting={len(self._waiting)}>"

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the questions before this one, unless the trial ends first. The block asks the question."""
        if self._busy and not self._over:
            await self._wait()
        self._busy = True
        try:
            yield
        finally:
            self._admit_next()

    def end(self) -> None:
        """Let all who wait go on."""
        self._over = True
        while self._waiting:
            self._admit_next()

    async def _wait(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await asyncio.shield(place)  # so that the place itself is never cancelled
        except BaseException:
            if place.done():
                self._admit_next()  # it came at the same moment
            else:
                self._waiting.remove(place)
            raise

    def _admit_next(self) -> None:
        self._busy = bool(self._waiting)
        if self._waiting:
            self._waiting.popleft().set_result(None)
