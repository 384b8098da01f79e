"""Opening and closing many connections, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import picows
from picows import ws_connect

from loadtests.traffic.connection import Connection, Traffic
from loadtests.traffic.job import LoadError, Target

AT_ONCE: Final = 25
"""Handshakes under way at the same time."""

HANDSHAKE_SECONDS: Final = 30.0

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Made = TypeVar("Made", bound=Connection)


async def connect_all(target: Target, make: Callable[[int], Made]) -> list[Made]:
    """Open a connection for each of the target's headers, a few at a time.

    Args:
        target: where to.
        make: returns connection number N.

    Raises:
        LoadError: one is refused, or takes too long.
    """

    async def connect(number: int) -> Made:
        connection = make(number)
        try:
            await ws_connect(
                lambda: connection,
                target.url,
                extra_headers=target.headers[number],
                websocket_handshake_timeout=HANDSHAKE_SECONDS,
                read_buffer_init_size=4096,
                max_frame_size=connection.size + 1024,
            )
        except (picows.WSError, OSError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise LoadError(f"connection {number + 1} of {len(target.headers)} failed: {why}") from None
        return connection

    return await _a_few_at_a_time(connect, range(len(target.headers)))


async def close_all(connections: Sequence[Connection], traffic: Traffic) -> None:
    """Close connections, a few at a time.

    Args:
        connections: all of the measurement's.
        traffic: that they share.

    Raises:
        LoadError: one does not answer, or has failed at any time until all of them were closed.
    """
    await _a_few_at_a_time(lambda connection: connection.close(), connections)
    traffic.check()


async def _a_few_at_a_time(work: Callable[[Item], Awaitable[Answer]], items: Sequence[Item]) -> list[Answer]:
    """Return what the work made of each item, in their order; the next begins as soon as one is done."""
    answers: dict[int, Answer] = {}
    numbered = iter(enumerate(items))

    async def worker() -> None:
        for number, item in numbered:
            answers[number] = await work(item)

    await asyncio.gather(*(worker() for _ in range(min(AT_ONCE, len(items)))))
    return [answers[number] for number in range(len(items))]
