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
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from memmie_harness.client import connect
from memmie_harness.numbers import Numbers

OPEN_SECONDS = 10.0
"""How long one attempt to connect may take."""

LEAVE_SECONDS = 5.0
"""How long a client that closes its connection waits for the answer; messages may wait for their quota before it."""

COME_BACK_SECONDS = 0.05
"""How long a client waits after a refusal or a close before it tries again."""

NO_CLOSE_FRAME = 1006
"""What a client takes for the code where the connection ended without a Close frame (RFC 6455 §7.1.5)."""


@dataclass
class Life:
    """One connection of a client, from its opening to its end; times are `time.monotonic` seconds.

    Attributes:
        opened: When the upgrade was answered.
        sent: Numbers in the order they were sent.
        acknowledged: Numbers in the order their acks came.
        first_ack: When the first ack came; ``None`` if none has.
        slowest: The longest an ack took, in seconds.
        round_trips: How long each ack took, in seconds, in the order they came.
        ended: When the client knew of the end; ``None`` while it lives.
        code: The close code; `NO_CLOSE_FRAME` where none was received.
        reason: The close reason.
        url: The WebSocket address it was opened at.
        studio: The Studio that answered, if its acks have `data.studio`; empty if not.
        unsure: Whether the last message of `sent` may not have left, because the connection ended at that moment.
        left: Whether the client itself closed it.
    """

    opened: float
    sent: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    first_ack: float | None = None
    slowest: float = 0.0
    round_trips: list[float] = field(default_factory=list)
    ended: float | None = None
    code: int | None = None
    reason: str = ""
    url: str = ""
    studio: str = ""
    unsure: bool = False
    left: bool = False

    @property
    def close(self) -> tuple[int | None, str]:
        """Code and reason."""
        return self.code, self.reason

    def end(self, connection: ClientConnection) -> None:
        """Note that it ends now, and how, if that is known yet; a client that is cancelled learns it later or never."""
        self.ended = time.monotonic()
        self.note_close(connection)

    def note_close(self, connection: ClientConnection) -> None:
        """Note how it was closed."""
        self.code = connection.close_code
        self.reason = connection.close_reason or ""


@dataclass(frozen=True)
class Refusal:
    """An attempt to connect that failed; `status` 0 where there was no HTTP answer."""

    at: float
    status: int
    words: str


class NumberedClient:
    """One user's client.

    Args:
        user_id: Whose it is.
        token: That user's token.
        address: Called at every attempt for the WebSocket address to connect to.
        every: Seconds between two messages, or two bursts.
        window: How many messages may be unacknowledged at a time.
        burst: How many messages are sent at once.
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
        self._options = options
        self._numbers = 0
        self._unacknowledged: dict[int, float] = {}  # number to when it was sent, oldest first
        self._finishing = False
        self._connection: ClientConnection | None = None
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
                connection = await connect(
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

    async def _live(self, connection: ClientConnection, url: str) -> None:
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

    async def _send(self, connection: ClientConnection, life: Life) -> None:
        with contextlib.suppress(ConnectionClosed):
            for number in list(self._unacknowledged):
                await self._send_one(connection, life, number)
            while True:
                await asyncio.sleep(self._every)
                for _ in range(self._burst):
                    await self._window_opens()
                    if self._finishing:
                        return
                    self._numbers += 1
                    await self._send_one(connection, life, self._numbers)

    async def _window_opens(self) -> None:
        while self.unacknowledged >= self._window:
            self._acked.clear()
            await self._acked.wait()

    async def _send_one(self, connection: ClientConnection, life: Life, number: int) -> None:
        life.sent.append(number)
        self._unacknowledged[number] = time.monotonic()
        life.unsure = True
        await connection.send(json.dumps({"id": str(number), "type": "heartbeat"}))
        life.unsure = False

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
