"""One client of each kind at the same time, and what all of them do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.docs.page import Page
from tests.real_clients.clients import TRANSPORTS, Client, CurlClient, PythonClient
from tests.real_clients.hosts import Host

from memmie_gateway import Gateway

SOCKETIO: Final = [f"{host} socketio {name}" for host in ("node", "page", "python") for name in TRANSPORTS]
WEBSOCKETS: Final = ["node websocket", "page websocket"]
STREAMS: Final = ["node stream", "page stream", "page events", "curl"]
"""What reads a stream of events: `fetch`, EventSource and curl."""

ALL: Final = [*SOCKETIO, *WEBSOCKETS, *STREAMS]

StartClients = Callable[[Gateway, Mapping[str, str]], Awaitable[dict[str, Client]]]
"""Starts clients, by name and token."""


@dataclass(frozen=True)
class Programs:
    """The programs in which clients run, and the origin of the page."""

    node: Host
    browser: Host
    page: Page
    origin: str

    async def start(self, name: str, url: str, token: str) -> Client:
        """Start a client of this name."""
        program, _, rest = name.partition(" ")
        kind, _, transport = rest.partition(" ")
        if program == "curl":
            return await CurlClient.start(url, token)
        if program == "python":
            return await PythonClient.start(url, token, TRANSPORTS[transport])
        host = self.node if program == "node" else self.browser
        return await host.start(kind, url, token, TRANSPORTS.get(transport))


async def hear(client: Client, name: str) -> list[list[Any]]:
    """Return what a client tells up to this word, with the line of this word as the last one."""
    told: list[list[Any]] = []
    while not told or told[-1][0] != name:
        try:
            told.append(await client.heard())
        except TimeoutError:
            raise AssertionError(f"no {name}, but {told}") from None
    return told


async def each(clients: Mapping[str, Client], does: Callable[[str, Client], Awaitable[None]]) -> None:
    """Do something with all clients at the same time; an error names its client."""

    async def one(name: str, client: Client) -> None:
        try:
            await does(name, client)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{name}: {error!r}") from error

    await asyncio.gather(*(one(name, client) for name, client in clients.items()))


async def is_connected(_: str, client: Client) -> None:
    await hear(client, "connect")


async def gets_an_answer(_: str, client: Client) -> None:
    await client.tell("ask", "heartbeat")
    assert (await hear(client, "answer"))[-1][1]["type"] == "ack"


def comes_back_with_another(token: str) -> Callable[[str, Client], Awaitable[None]]:
    """A client that has ended, or is refused, connects with this token."""

    async def comes(name: str, client: Client) -> None:
        await client.tell("again", token)
        await hear(client, "connect")
        await gets_an_answer(name, client)

    return comes
