"""A client and a Studio joined by a gateway: what the fixtures hand to the tests."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from memmie_gateway import Gateway
from memmie_gateway.net.sessions.session import Session
from memmie_harness.conformance.peers import PATIENCE, TEXT, Peer

StartGateway = Callable[..., Awaitable[Gateway]]
"""Starts a gateway with these settings."""

Dial = Callable[..., Awaitable[Peer]]
"""Connects a raw client that says nothing yet."""


class GatewayLog(io.StringIO):
    """Where gateways log to."""

    def __init__(self) -> None:
        super().__init__()
        self.gateways: list[Gateway] = []

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one kind, those that still wait to be written, too."""
        for gateway in self.gateways:
            gateway.log_stream.close()
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    async def line(self, event: str) -> dict[str, Any]:
        """Wait for a line of one kind, and return it; it must be the only one."""
        await until(lambda: bool(self.lines(event)))
        (line,) = self.lines(event)
        return line


@dataclass(frozen=True, slots=True)
class Pair:
    """A client joined to a Studio by a gateway."""

    gateway: Gateway
    client: Peer
    studio: Peer

    async def exchange(self) -> None:
        """See that a message passes each way."""
        self.client.send(TEXT, "up")
        assert await self.studio.read_message() == (TEXT, b"up")
        self.studio.send(TEXT, "down")
        assert await self.client.read_message() == (TEXT, b"down")

    @property
    def session(self) -> Session:
        """The gateway's own view of it, while it lives."""
        (session,) = sessions_of(self.gateway)
        return session


def sessions_of(gateway: Gateway) -> list[Session]:
    """Return the live sessions, without live HTTP answers."""
    return [live for live in gateway.parts.sessions if isinstance(live, Session)]


Join = Callable[..., Awaitable[Pair]]
"""Joins a client to a Studio, by a gateway that is given or started with these settings (see `conftest.join`)."""

Enter = Callable[[Gateway, str], Awaitable[Pair]]
"""Joins a client with this token to a Studio."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something in the gateway that no byte on a socket tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the gateway has no event for what only a test wants to know
            await asyncio.sleep(0.002)


def later(gateway: Gateway, seconds: float) -> None:
    """Let so many seconds pass on the clock by which tokens end."""
    gateway.parts.leases._ends._clock = lambda: time.time() + seconds


def nobody_is_left(gateway: Gateway) -> bool:
    """Tell whether every connection is over, also for the gateway."""
    listener = gateway.parts.listener
    return not (len(gateway.parts.sessions) or listener.pending or listener.http)
