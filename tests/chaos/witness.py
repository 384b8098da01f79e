"""The witness of a user: what the Studios' journals have, and a second connection that gets an event for each message."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.chaos.records import Watch
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from memmie_harness.numbered import COME_BACK_SECONDS, OPEN_SECONDS, Connect, Connection, Life, Refusal

ASK_SECONDS: Final = 5.0
"""How often a witness asks Studio how many events it was sent."""

STAY_SECONDS: Final = 20.0
"""How long a witness stays on average before it leaves and comes again, so that there are always new connections."""


def read_journals(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """Return the messages of each user, as connection and number; a connection is `FILE/ID`."""
    messages: dict[str, list[tuple[str, int]]] = {}
    for path in sorted(folder.glob("*.journal")):
        for line in path.read_text().splitlines():
            user, number, connection = line.split()
            messages.setdefault(user, []).append((f"{path.stem}/{connection}", int(number)))
    return messages


class Witness:
    """A user's second client.

    Args:
        user_id: the user.
        token: the user's token.
        address: called at each attempt for the WebSocket address.
        rng: decides how long it stays.
        connect: opens a connection.

    Attributes:
        watches: its connections, oldest first.
        refusals: attempts to connect that failed.
    """

    def __init__(
        self, user_id: str, token: str, address: Callable[[], str], rng: random.Random, connect: Connect
    ) -> None:
        self.user_id = user_id
        self.watches: list[Watch] = []
        self.refusals: list[Refusal] = []
        self._token = token
        self._address = address
        self._rng = rng
        self._connect = connect
        self._finishing = False

    @property
    def life(self) -> Life | None:
        """The latest connection, if it lives."""
        life = self.watches[-1].life if self.watches else None
        return life if life is not None and life.ended is None else None

    @property
    def noticed(self) -> list[Life]:
        """The connections that others ended."""
        return [watch.life for watch in self.watches if not watch.left]

    async def run(self) -> None:
        """Connect, watch, and come back when it ends; until cancelled."""
        while True:
            url = self._address()
            try:
                connection = await self._connect(url, self._token, open_timeout=OPEN_SECONDS)
            except InvalidStatus as error:
                words = bytes(error.response.body or b"").decode("utf-8", "replace")
                self.refusals.append(Refusal(time.monotonic(), error.response.status_code, words))
            except (OSError, TimeoutError, WebSocketException) as error:
                self.refusals.append(Refusal(time.monotonic(), 0, f"{type(error).__name__}: {error}"))
            else:
                await self._watch(connection, url)
            await asyncio.sleep(COME_BACK_SECONDS)

    def stay(self) -> None:
        """Leave no more."""
        self._finishing = True

    async def _watch(self, connection: Connection, url: str) -> None:
        watch = Watch(Life(time.monotonic(), url=url))
        self.watches.append(watch)
        asking = asyncio.create_task(self._ask(connection, watch))
        try:
            async for message in connection:
                self._receive(watch, json.loads(message))
        except ConnectionClosed:
            pass  # how it ended is read below
        finally:
            watch.life.end(connection)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await connection.close()
            watch.life.note_close(connection)

    async def _ask(self, connection: Connection, watch: Watch) -> None:
        leaves = time.monotonic() + self._rng.uniform(0, 2 * STAY_SECONDS)
        with contextlib.suppress(ConnectionClosed):
            while self._finishing or time.monotonic() < leaves:
                await connection.send(json.dumps({"id": "watch", "type": "watch"}))
                await asyncio.sleep(ASK_SECONDS)
            watch.left = True
            await connection.close()

    @staticmethod
    def _receive(watch: Watch, message: dict[str, object]) -> None:
        data = message["data"]
        assert isinstance(data, dict)
        if message["type"] == "numbered":
            watch.sequence.append(data["sequence"])
        else:
            watch.life.studio = data["studio"]
            watch.pushed.append((data["pushed"], len(watch.sequence)))
