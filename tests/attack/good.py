"""The good clients beside an attack: a hundred that send numbered messages all the time, and newcomers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from tests.attack.auth import token_of
from tests.attack.stage import Stage
from websockets.exceptions import WebSocketException

from memmie_harness.client import HeartbeatError, connect, heartbeat
from memmie_harness.numbered import Crowd, NumberedClient

CLIENTS: Final = 100

EVERY_SECONDS: Final = 0.2
"""Between two messages of a client; each client has a slightly longer time than the one before, so they do not send in step."""

NEWCOMER_SECONDS: Final = 0.1
"""Between two newcomers."""

CONNECT_SECONDS: Final = 10.0
"""How long a newcomer may take until its first answer; on a quiet machine it takes some milliseconds."""

LOOK_SECONDS: Final = 0.5

_numbers = itertools.count()


def make_crowd(stage: Stage) -> Crowd:
    """Make the good clients, each with a user and an address of its own."""
    return Crowd(
        [
            NumberedClient(
                f"good-{number}",
                token_of(f"good-{number}"),
                lambda: stage.ws_url,
                every=EVERY_SECONDS + number / 1000,
                local_addr=(f"127.1.0.{1 + number}", 0),
            )
            for number in range(CLIENTS)
        ]
    )


class Stopwatch:
    """Reads the round trips of a crowd from one moment to the next."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._read: dict[str, int] = {}
        self.lap()

    def lap(self) -> list[float]:
        """Return the round trips since the last lap, in seconds, rising."""
        times: list[float] = []
        for client in self._crowd:
            of_client = [each for life in client.lives for each in life.round_trips]
            times += of_client[self._read.get(client.user_id, 0) :]
            self._read[client.user_id] = len(of_client)
        return sorted(times)


def harm(crowd: Crowd) -> list[str]:
    """Return in words what has happened to good clients that must not happen: a refusal, an end, a wrong message."""
    found = []
    for client in crowd:
        found += [
            f"{client.user_id} was refused: {each.status} {each.words:.100}" for each in client.refusals
        ]
        found += [
            f"{client.user_id} was closed: {life.code} {life.reason}"
            for life in client.lives
            if life.ended is not None
        ]
    return found + crowd.problems()


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
