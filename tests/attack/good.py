"""The good clients beside an attack: a hundred that send messages or requests all the time, and newcomers.

Of ten clients, six have a plain WebSocket, one each uses a transport of Socket.IO, and one sends HTTP requests. Twenty
more have no gateway and talk to the Studios themselves: what they wait for is not the gateway's fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from tests import socketio_connection
from tests.attack.auth import token_of
from tests.attack.heads import get
from tests.attack.stage import Stage
from tests.one_request import ask
from tests.socketio_connection import Transport
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from memmie_harness.client import HeartbeatError, connect, heartbeat
from memmie_harness.numbered import Connect, Crowd, NumberedClient

CLIENTS: Final = 100

KINDS: Final = ("WebSocket", "Socket.IO", "HTTP")
"""The protocols of good clients."""

DIRECT: Final = {kind: f"{kind}, direct" for kind in ("WebSocket", "HTTP")}
"""Those of clients without a gateway."""

DIRECT_CLIENTS: Final = 10
"""How many of each kind."""

SOCKETIO_NAMES: Final = {6 + number: f"socketio-{transport}" for number, transport in enumerate(Transport)}
HTTP_NUMBER: Final = 9
"""The last digits of the clients that have no plain WebSocket."""

EVERY_SECONDS: Final = 0.2
"""Between two messages of a client; each client has a slightly longer time than the one before, so they do not send in step."""

NEWCOMER_SECONDS: Final = 0.1
"""Between two newcomers."""

CONNECT_SECONDS: Final = 10.0
"""How long a newcomer may take until its first answer; on a quiet machine it takes some milliseconds."""

LOOK_SECONDS: Final = 0.5

_numbers = itertools.count()


class HttpClient:
    """A client that asks Studio for its blobs, one request after the other.

    Args:
        user_id: the user.
        address: the host and port of the gateway, or of a Studio.
        every: seconds between an answer and the next request.
        source: the client's address.

    Attributes:
        round_trips: seconds of each answer.
        problems: in words, what was not an answer of Studio.
    """

    def __init__(self, user_id: str, address: tuple[str, int], every: float, source: str) -> None:
        self.user_id = user_id
        self.round_trips: list[float] = []
        self.problems: list[str] = []
        self._address = address
        self._every = every
        # Studio believes the second one; the gateway does not.
        fields = (
            f"Authorization: Bearer {token_of(user_id)}",
            f"X-User-ID: {user_id}",
            "Connection: close",
        )
        self._request = get("/api/v1/blobs", *fields)
        self._source = (source, 0)

    async def run(self) -> None:
        """Send requests; until cancelled."""
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    answer = await ask(*self._address, self._request, self._source)
            except (OSError, TimeoutError) as error:
                self.problems.append(f"{self.user_id} got no answer: {error!r:.100}")
            else:
                self.round_trips.append(time.monotonic() - began)
                if answer.status != 200:
                    self.problems.append(
                        f"{self.user_id} was refused: {answer.status} {answer.body.decode()!r:.100}"
                    )
            await asyncio.sleep(self._every)


async def connect_directly(ws_url: str, _: str | None, **options: Any) -> ClientConnection:
    """Open a WebSocket to a Studio, as a gateway does."""
    return await connect(ws_url, None, **options)


def address_of(url: str) -> tuple[str, int]:
    """Return the host and port of a URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


class Neighbours:
    """The good clients, each with a user and an address of its own.

    Args:
        ws_url: the gateway's WebSocket address.
        studios: those of the Studios.
        mixed: whether they use all protocols; otherwise all have plain WebSockets.

    Attributes:
        crowd: those that send numbered messages, over WebSockets and Socket.IO.
        http: those that send HTTP requests.
    """

    def __init__(self, ws_url: str, studios: Sequence[str], *, mixed: bool = True) -> None:
        address = address_of(ws_url)
        sources = [f"127.1.0.{1 + number}" for number in range(CLIENTS)]
        every = [EVERY_SECONDS + number / 1000 for number in range(CLIENTS)]
        how: dict[str, Connect] = {
            f"socketio-{transport}": functools.partial(socketio_connection.connect, transport=transport)
            for transport in Transport
        }
        names = [SOCKETIO_NAMES.get(number % 10, "good") if mixed else "good" for number in range(CLIENTS)]
        self.crowd = Crowd(
            [
                NumberedClient(
                    f"{name}-{number}",
                    token_of(f"{name}-{number}"),
                    lambda: ws_url,
                    every=every[number],
                    connect=how.get(name, connect),
                    local_addr=(sources[number], 0),
                )
                for number, name in enumerate(names)
                if not mixed or number % 10 != HTTP_NUMBER
            ]
            + [
                NumberedClient(
                    f"direct-{number}",
                    "",
                    functools.partial("{}?user_id=direct-{}".format, url, number),
                    every=every[number],
                    connect=connect_directly,
                )
                for number, url in zip(range(DIRECT_CLIENTS), itertools.cycle(studios), strict=False)
            ]
        )
        self.http = [
            HttpClient(f"http-{number}", address, every[number], sources[number])
            for number in (range(HTTP_NUMBER, CLIENTS, 10) if mixed else ())
        ]
        self.http += [
            HttpClient(f"direct-http-{number}", address_of(url), every[number], "127.0.0.1")
            for number, url in zip(
                range(DIRECT_CLIENTS if mixed else 0), itertools.cycle(studios), strict=False
            )
        ]

    @contextlib.asynccontextmanager
    async def running(self, within: float) -> AsyncIterator[None]:
        """Connect them all within so many seconds, and end them at the end of the block."""
        async with self.crowd.running(within):
            tasks = [asyncio.create_task(each.run()) for each in self.http]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def round_trips(self) -> dict[str, dict[str, list[float]]]:
        """Return the seconds of all round trips, by protocol and user."""
        by_kind: dict[str, dict[str, list[float]]] = {kind: {} for kind in (*KINDS, *DIRECT.values())}
        kinds = {"socketio": "Socket.IO", "direct": DIRECT["WebSocket"]}
        for client in self.crowd:
            kind = kinds.get(client.user_id.partition("-")[0], "WebSocket")
            by_kind[kind][client.user_id] = [each for life in client.lives for each in life.round_trips]
        for caller in self.http:
            kind = DIRECT["HTTP"] if caller.user_id.startswith("direct") else "HTTP"
            by_kind[kind][caller.user_id] = caller.round_trips
        return by_kind

    def harm(self) -> list[str]:
        """Return in words what must not happen to them: a refusal, an end, a wrong message."""
        found = []
        for client in self.crowd:
            found += [
                f"{client.user_id} was refused: {each.status} {each.words:.100}" for each in client.refusals
            ]
            found += [
                f"{client.user_id} was closed: {life.code} {life.reason}"
                for life in client.lives
                if life.ended is not None
            ]
        return found + self.crowd.problems() + [words for each in self.http for words in each.problems]


class Stopwatch:
    """Reads the round trips of good clients from one moment to the next."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._read: dict[str, int] = {}
        self.lap()

    def lap(self) -> dict[str, list[float]]:
        """Return the round trips since the last lap, by protocol: in seconds, rising."""
        new: dict[str, list[float]] = {}
        for kind, of_kind in self._neighbours.round_trips().items():
            times: list[float] = []
            for user, of_user in of_kind.items():
                times += of_user[self._read.get(user, 0) :]
                self._read[user] = len(of_user)
            new[kind] = sorted(times)
        return new


@dataclass
class Watch:
    """Newcomers and a platform's checks during an attack.

    Attributes:
        newcomers: how many newcomers have been served.
        slowest: the longest time in seconds until one of them was served.
        problems: in words, what has failed.
    """

    newcomers: int = 0
    slowest: float = 0.0
    problems: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def watching(stage: Stage, steady: tuple[str, ...]) -> AsyncIterator[Watch]:
    """Let newcomers come, and ask for the gateway's health and for the gauges that no client may move.

    Args:
        stage: the gateway.
        steady: the names of these gauges.
    """
    watch = Watch()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_newcomers(stage, watch, group)),
            group.create_task(_look(stage, watch, steady)),
        ]
        yield watch
        for task in tasks:
            task.cancel()


async def _newcomers(stage: Stage, watch: Watch, group: asyncio.TaskGroup) -> None:
    while True:
        group.create_task(_come(stage, watch, next(_numbers)))
        await asyncio.sleep(NEWCOMER_SECONDS)


async def _come(stage: Stage, watch: Watch, number: int) -> None:
    user = f"new-{number}"
    source = (f"127.2.{number // 250}.{1 + number % 250}", 0)
    began = time.monotonic()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await connect(stage.ws_url, token_of(user), local_addr=source)
            await heartbeat(connection)
    except (OSError, TimeoutError, WebSocketException, HeartbeatError) as error:
        watch.problems.append(f"{user} could not connect: {error!r:.150}")
        return
    watch.newcomers += 1
    watch.slowest = max(watch.slowest, time.monotonic() - began)
    await connection.close()


async def _look(stage: Stage, watch: Watch, steady: tuple[str, ...]) -> None:
    while True:
        watch.problems += await stage.alive()
        try:
            gauges = await stage.gauges()
        except (aiohttp.ClientError, TimeoutError) as error:
            watch.problems.append(f"/metrics is not answered: {error!r}")
            continue
        for name, value in gauges.items():
            if name.startswith(steady) and value != stage.before.gauges[name]:
                watch.problems.append(f"{name} was {value:g}")
        await asyncio.sleep(LOOK_SECONDS)
