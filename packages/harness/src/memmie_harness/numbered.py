"""Clients that send numbered messages and remember everything: what was sent, what was acknowledged, how it ended.

A message is a ``heartbeat`` whose id is its number, and Studio's ``ack`` has the same id (spec §4). So whatever is
lost, doubled or reordered on the way shows as a number. A client that is closed comes back, as a real one does, and
first sends again what was never acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from memmie_harness.client import connect
from memmie_harness.life import Connect, Connection, Life, Refusal
from memmie_harness.numbers import Numbers

__all__ = [
    "COME_BACK_SECONDS",
    "OPEN_SECONDS",
    "Connect",
    "Connection",
    "Crowd",
    "Life",
    "NumberedClient",
    "Refusal",
]

OPEN_SECONDS = 10.0
"""How long one attempt to connect may take."""

LEAVE_SECONDS = 5.0
"""How long a client that closes its connection waits for the answer; messages may wait for their quota before it."""

COME_BACK_SECONDS = 0.05
"""How long a client waits after a refusal or a close before it tries again."""


class NumberedClient:
    """One user's client.

    Args:
        user_id: Whose it is.
        token: That user's token.
        address: Called at every attempt for the WebSocket address to connect to.
        every: Seconds between two messages, or two bursts.
        window: How many messages may be unacknowledged at a time.
        burst: How many messages are sent at once.
        connect: Opens a connection.
        **options: More arguments of `connect`, such as `local_addr`.

    Attributes:
        lives: Its connections, oldest first.
        refusals: Attempts to connect that failed.
    """

    def __init__(
        self,
        user_id: str,
        token: str,
        address: Callable[[], str],
        *,
        every: float = 0.1,
        window: int = 4,
        burst: int = 1,
        connect: Connect = connect,
        **options: Any,
    ) -> None:
        self.user_id = user_id
        self.token = token
        self.lives: list[Life] = []
        self.refusals: list[Refusal] = []
        self._address = address
        self._every = every
        self._window = window
        self._burst = burst
        self._connect = connect
        self._options = options
        self._numbers = 0
        self._unacknowledged: dict[int, float] = {}  # number to when it was sent, oldest first
        self._finishing = False
        self._connection: Connection | None = None
        self._unexpected: list[str] = []
        self._news = asyncio.Event()
        self._acked = asyncio.Event()

    def __repr__(self) -> str:
        """Tell what it went through; the token is not part of it."""
        lives = ", ".join(f"{len(life.acknowledged)}/{len(life.sent)} {life.close}" for life in self.lives)
        return f"<NumberedClient {self.user_id} lives=[{lives}] refusals={self.refusals[-3:]}>"

    @property
    def life(self) -> Life:
        """The latest connection."""
        return self.lives[-1]

    @property
    def acknowledged(self) -> int:
        """How many messages were acknowledged, over all connections."""
        return sum(len(life.acknowledged) for life in self.lives)

    @property
    def away(self) -> float:
        """Seconds from the end of the connection before the latest until the latest was answered; infinite if not."""
        if len(self.lives) < 2 or self.life.first_ack is None:
            return float("inf")
        ended = self.lives[-2].ended
        assert ended is not None  # noqa: S101 - there is one after it
        return self.life.first_ack - ended

    @property
    def unacknowledged(self) -> int:
        """How many messages wait for their ack."""
        return len(self._unacknowledged)

    @property
    def waits(self) -> float:
        """Seconds for which the oldest unacknowledged message has waited since it was last sent; 0 for none."""
        return time.monotonic() - min(self._unacknowledged.values()) if self._unacknowledged else 0.0

    @property
    def served(self) -> bool:
        """Whether it is connected and was answered on this connection."""
        return bool(self.lives) and self.life.ended is None and bool(self.life.acknowledged)

    def problems(self) -> list[str]:
        """What was lost, doubled, reordered or no ack, in words; empty if nothing was.

        On each connection the acks must be the first so many of the messages sent, in their order; over all
        connections every number must have been acknowledged once.
        """
        found = self._unexpected + [
            f"{self.user_id}: connection {number} sent {life.sent} and got acks for {life.acknowledged}"
            for number, life in enumerate(self.lives, start=1)
            if life.acknowledged != life.sent[: len(life.acknowledged)]
        ]
        numbers = Numbers()
        for number in (number for life in self.lives for number in life.acknowledged):
            numbers.take(number)
        if problems := numbers.problems(numbers.highest):
            found.append(f"{self.user_id}: acknowledgements over all connections: {', '.join(problems)}")
        return found

    async def run(self) -> None:
        """Connect, exchange messages, come back when it ends; until all is acknowledged after `finish`."""
        while not self._finishing or self.unacknowledged:
            url = self._address()
            try:
                connection = await self._connect(
                    url,
                    self.token,
                    open_timeout=OPEN_SECONDS,
                    close_timeout=LEAVE_SECONDS,
                    **self._options,
                )
            except InvalidStatus as error:
                body = bytes(error.response.body or b"").decode("utf-8", "replace")
                self._refused(error.response.status_code, body)
            except (OSError, TimeoutError, WebSocketException) as error:
                self._refused(0, f"{type(error).__name__}: {error}")
            else:
                await self._live(connection, url)
            await asyncio.sleep(COME_BACK_SECONDS)

    async def leave(self) -> None:
        """Close the connection, if there is one; the client then comes back as after any other end."""
        if self._connection is not None:
            self.life.left = True
            await self._connection.close()

    async def until(self, fits: Callable[[NumberedClient], bool], within: float, what: str) -> None:
        """Wait until something is true of this client.

        Args:
            fits: Asked after everything that happens to it.
            within: Seconds.
            what: A participle that names it in the error, such as "served".

        Raises:
            TimeoutError: It was not in time; the message has what the client went through instead.
        """
        try:
            async with asyncio.timeout(within):
                while not fits(self):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(
                f"the client {self.user_id} did not {what} within {within:g} s: {self!r}"
            ) from None

    async def finish(self, within: float = 5.0) -> None:
        """Send nothing new and wait until all is acknowledged; the connection stays.

        Raises:
            TimeoutError: Acknowledgements were missing.
        """
        self._finishing = True
        await self.until(lambda client: not client.unacknowledged, within, "get an ack for every message")

    async def _live(self, connection: Connection, url: str) -> None:
        life = Life(time.monotonic(), url=url)
        self.lives.append(life)
        self._connection = connection
        self._news.set()
        sending = asyncio.create_task(self._send(connection, life))
        try:
            async for message in connection:
                self._receive(life, message)
        except ConnectionClosed:
            pass  # how it ended is read below
        finally:
            life.end(connection)
            self._connection = None
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await connection.close()
            life.note_close(connection)
            self._news.set()

    async def _send(self, connection: Connection, life: Life) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._send_all(connection, life, list(self._unacknowledged))
            while True:
                await asyncio.sleep(self._every)
                left = self._burst
                while left:
                    await self._window_opens()
                    if self._finishing:
                        return
                    count = min(left, self._window - self.unacknowledged)
                    left -= count
                    first, self._numbers = self._numbers + 1, self._numbers + count
                    await self._send_all(connection, life, range(first, first + count))

    async def _window_opens(self) -> None:
        while self.unacknowledged >= self._window:
            self._acked.clear()
            await self._acked.wait()

    async def _send_all(self, connection: Connection, life: Life, numbers: Sequence[int]) -> None:
        """Send messages at once, in order, because a connection that polls sends in one body what is there."""
        for number in numbers:  # before anything can end this, or a number would be left out
            life.sent.append(number)
            self._unacknowledged[number] = time.monotonic()
        life.unsure += len(numbers)
        await asyncio.gather(*(self._send_one(connection, life, number) for number in numbers))

    async def _send_one(self, connection: Connection, life: Life, number: int) -> None:
        await connection.send(json.dumps({"id": str(number), "type": "heartbeat"}))
        life.unsure -= 1

    def _receive(self, life: Life, message: str | bytes) -> None:
        answer = json.loads(message)
        if answer.get("type") != "ack":
            self._unexpected.append(f"{self.user_id} got {answer} instead of an ack")
            return
        number = int(answer["id"])
        life.acknowledged.append(number)
        life.studio = (answer.get("data") or {}).get("studio", "")
        life.first_ack = life.first_ack or time.monotonic()
        sent_at = self._unacknowledged.pop(number, None)
        if sent_at is not None:
            life.round_trips.append(time.monotonic() - sent_at)
            life.slowest = max(life.slowest, life.round_trips[-1])
        self._acked.set()
        self._news.set()

    def _refused(self, status: int, words: str) -> None:
        self.refusals.append(Refusal(time.monotonic(), status, words))
        self._news.set()


class Crowd(Sequence[NumberedClient]):
    """Several clients at once."""

    def __init__(self, clients: Sequence[NumberedClient]) -> None:
        self._clients = list(clients)

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[NumberedClient]:
        return iter(self._clients)

    def __getitem__(self, index: int) -> NumberedClient:  # type: ignore[override] # no slices: `of` selects
        return self._clients[index]

    def of(self, users: set[str]) -> Crowd:
        """The clients of these users."""
        return Crowd([client for client in self if client.user_id in users])

    def but(self, others: Crowd) -> Crowd:
        """The clients that are not among `others`."""
        return Crowd([client for client in self if client not in others])

    def problems(self) -> list[str]:
        """What was lost, doubled or reordered; see `NumberedClient.problems`."""
        return [problem for client in self for problem in client.problems()]

    async def until(self, fits: Callable[[NumberedClient], bool], within: float, what: str) -> None:
        """Wait until something is true of each of them; see `NumberedClient.until`."""
        await asyncio.gather(*(client.until(fits, within, what) for client in self))

    async def goes_on(self, messages: int = 3, within: float = 5.0) -> None:
        """Wait until each of them got acks for so many more messages."""
        goals = {client.user_id: client.acknowledged + messages for client in self}
        await self.until(
            lambda client: client.acknowledged >= goals[client.user_id],
            within,
            f"get {messages} more acks",
        )

    async def finish(self, within: float = 5.0) -> None:
        """Send nothing new and wait until all is acknowledged."""
        await asyncio.gather(*(client.finish(within) for client in self))

    @contextlib.asynccontextmanager
    async def running(self, within: float = 15.0) -> AsyncIterator[Crowd]:
        """Connect them all, wait until each was served, and end them at the end of the block."""
        tasks = [asyncio.create_task(client.run()) for client in self]
        try:
            await self.until(lambda client: client.served, within, "get an ack")
            yield self
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.result()  # a client that gave up says why
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
