"""Browser tabs: clients that connect again whenever their connection has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from memmie_fake_studio import FakeStudio
from memmie_harness.client import connect
from memmie_harness.targets import Target

PATIENCE = 20.0
"""Seconds after which a test waits in vain."""

AGAIN_SECONDS = 0.02
"""Seconds that a tab waits before it connects again."""


class Tab:
    """One tab of a user.

    Attributes:
        user: the user.
        ends: close code and reason of each connection that has ended without the tab's own doing.
        refusals: number of refused attempts to connect.
    """

    def __init__(self, user: str, token: str, gateway: Target) -> None:
        self.user = user
        self.ends: list[tuple[int | None, str | None]] = []
        self.refusals = 0
        self._token = token
        self._gateway = gateway
        self._connection: ClientConnection | None = None
        self._reloads = False

    @property
    def connected(self) -> bool:
        """Whether it has a connection."""
        return self._connection is not None

    async def reload(self) -> None:
        """Close the connection, and wait until there is another one."""
        before = self._connection
        assert before is not None
        self._reloads = True
        await before.close()
        await until(lambda: self._connection not in (before, None))

    async def run(self) -> None:
        """Connect, and connect again after every end."""
        while True:
            try:
                self._connection = await connect(self._gateway.ws_url, self._token, open_timeout=PATIENCE)
                with contextlib.suppress(ConnectionClosed):
                    async for _ in self._connection:
                        pass
                if not self._reloads:
                    self.ends.append((self._connection.close_code, self._connection.close_reason))
                self._reloads = False
            except (InvalidStatus, ConnectionError, EOFError):
                self.refusals += 1
            self._connection = None
            await asyncio.sleep(AGAIN_SECONDS)


@contextlib.asynccontextmanager
async def opened(tabs: Iterable[Tab]) -> AsyncIterator[None]:
    """Let tabs run, from the time at which all are connected."""
    tabs = list(tabs)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(tab.run()) for tab in tabs]
        await until(lambda: all(tab.connected for tab in tabs))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(
            *(tab._connection.close() for tab in tabs if tab._connection is not None),
            return_exceptions=True,
        )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def places(studios: Iterable[FakeStudio]) -> dict[str, set[str]]:
    """Return the Studios that each user is connected to."""
    found: dict[str, set[str]] = {}
    for studio in studios:
        for connection in studio.connections:
            found.setdefault(connection.user_id, set()).add(studio.ws_url)
    return found


def split(studios: Iterable[FakeStudio]) -> set[str]:
    """Return the users who are connected to several Studios."""
    return {user for user, urls in places(studios).items() if len(urls) > 1}
