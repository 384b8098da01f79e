"""Messages at times that are fixed beforehand (an open loop): a slow gateway does not slow down its load.

A message's latency counts from the time it was due, not from when it was sent. If the gateway stops for a while, all
messages that were due meanwhile show it, and not only one for each connection (coordinated omission in a closed loop).
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Sequence

from loadtests.traffic.connection import Connection, Traffic
from loadtests.traffic.ticks import ticking


class Timed(Connection):
    """Keeps the times of its messages, in their order.

    Attributes:
        latencies: seconds from when a message was due to its echo.
        lateness: seconds from when a message was due until it was sent.
    """

    def __init__(self, traffic: Traffic, number: int, size: int) -> None:
        super().__init__(traffic, number, size)
        self.latencies = array("d")
        self.lateness = array("d")

    def send(self, due: float) -> None:
        """Send the next message, and keep how late it is."""
        self.lateness.append(time.perf_counter() - due)
        super().send(due)

    def echoed(self, seconds: float) -> None:
        """Keep the latency."""
        self.latencies.append(seconds)


class Schedule:
    """Connections that send in turn, evenly spread over time.

    Args:
        connections: in the order of their turns.
        rate: messages a second of each connection.
    """

    def __init__(self, connections: Sequence[Connection], rate: float) -> None:
        self._connections = connections
        self._interval = 1 / (rate * len(connections))
        self._start = 0.0
        self._turn = 0
        self._end = 0

    async def run(self, turns: int, traffic: Traffic) -> None:
        """Have every connection send that many messages; return when the last one is sent.

        A further run continues in the same rhythm.

        Raises:
            LoadTestError: a connection failed.
        """
        if not self._turn:
            self._start = time.perf_counter() + self._interval
        self._end += turns * len(self._connections)
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def send_what_is_due() -> None:
            if self._send_until(time.perf_counter()) and not sent.done():
                sent.set_result(None)

        with ticking(self._due(), self._interval, send_what_is_due):
            await asyncio.wait({sent, traffic.failure}, return_when=asyncio.FIRST_COMPLETED)
        traffic.check()

    def _due(self) -> float:
        """Return when the next message is due."""
        return self._start + self._turn * self._interval

    def _send_until(self, now: float) -> bool:
        """Send every message that is due; return whether no more are to come."""
        connections = self._connections
        while self._turn < self._end:
            due = self._due()
            if due > now:
                return False
            connections[self._turn % len(connections)].send(due)
            self._turn += 1
        return True
