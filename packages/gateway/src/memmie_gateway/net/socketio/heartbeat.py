"""The heartbeat of Engine.IO, in which only the server pings (revision 4).

A client's library gives up if no ping comes for the interval and the time-out together, however much it receives. A session
pings a silent client after the interval, and so this heartbeat has to ping only the clients that are not silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from memmie_gateway.core.websocket.keepalive import Times

MOST_PAYLOADS: Final = 4
"""Maximum number of pings of a session and its backend that wait for the client's answer; of more, the oldest are dropped."""


class Heartbeat:
    """The pings of one client.

    Args:
        times: the interval and the time-out that the client knows.
        ping: sends a ping.
    """

    __slots__ = ("_longest", "_loop", "_payloads", "_ping", "_ping_at", "_timer")

    def __init__(self, times: Times, ping: Callable[[], None]) -> None:
        self._longest = times.interval + times.timeout / 4  # maximum time between two pings
        self._loop = asyncio.get_running_loop()
        self._payloads: list[bytes] | None = None  # None if no ping is under way
        self._ping: Callable[[], None] | None = ping
        self._ping_at = self._loop.time()  # of the last ping; before the first one, of the start
        self._timer = self._loop.call_later(self._longest, self._beat)

    def __repr__(self) -> str:
        return f"<Heartbeat{' under way' * (self._payloads is not None)}>"

    def ask(self, *payload: bytes) -> None:
        """Ping the client, unless it owes an answer, which then answers this as well.

        Args:
            *payload: that of a ping in a WebSocket frame which the client is to answer.
        """
        now = self._loop.time()
        under_way = self._payloads is not None
        self._payloads = [*(self._payloads or ()), *payload][-MOST_PAYLOADS:]
        if self._ping is not None and not (under_way and now - self._ping_at < self._longest / 2):
            self._ping_at = now
            self._ping()

    def answered(self) -> list[bytes]:
        """Note that the client has answered; return the payloads of the pings that this answers."""
        payloads, self._payloads = self._payloads, None
        return payloads or []

    def alive(self) -> list[bytes]:
        """Note that the client is alive and answers later; return the payloads of the pings that this answers."""
        payloads = self._payloads or []
        if payloads:
            self._payloads = []
        return payloads

    def stop(self) -> None:
        """Ping no more."""
        self._timer.cancel()
        self._ping = None

    def _beat(self) -> None:
        due = self._ping_at + self._longest - self._loop.time()
        if due <= 0:
            due = self._longest
            self.ask()
        self._timer = self._loop.call_later(due, self._beat)
