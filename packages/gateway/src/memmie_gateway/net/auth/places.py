"""The places for questions to Auth, of which one address can take at most half (see `core.auth.fair_line`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from memmie_gateway.core.auth.fair_line import FairLine
from memmie_gateway.net import clock


class Places:
    """Limits how many questions are asked at the same time.

    Args:
        number: number of places.
        timeout: maximum time in seconds to wait for a place.
    """

    def __init__(self, number: int, timeout: float) -> None:
        self._line: FairLine[asyncio.Future[None]] = FairLine(number)
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<Places {self._line!r}>"

    @contextlib.asynccontextmanager
    async def hold(self, address: str) -> AsyncIterator[None]:
        """Hold a place while the block runs.

        Args:
            address: the key of the client's address.

        Raises:
            TimeoutError: no place was free in time.
        """
        if not self._line.take(address):
            await self._wait(address)
        try:
            yield
        finally:
            self._give_back(address)

    async def _wait(self, address: str) -> None:
        place = asyncio.get_running_loop().create_future()
        self._line.wait(address, place)
        try:
            with clock.timeout(self._timeout):
                await asyncio.shield(place)  # so that the place itself is never cancelled
        except BaseException:
            if place.done():
                self._give_back(address)  # it came at the same moment
            else:
                self._line.leave(address, place)
            raise

    def _give_back(self, address: str) -> None:
        place = self._line.give_back(address)
        if place is not None:
            place.set_result(None)
