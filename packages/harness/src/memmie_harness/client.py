"""A plain WebSocket client as a user of the gateway has it, and the one exchange that proves a stack."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect as websockets_connect

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CLOSE_SECONDS = 1.0
"""How long a client of a test waits for the answer to its own close; on loopback it comes at once or never."""


class HeartbeatError(Exception):
    """A heartbeat got no ``ack``: what came instead, or that nothing did."""


async def connect(ws_url: str, token: str | None, **options: Any) -> ClientConnection:
    """Open a WebSocket through a gateway, with the token in the ``Authorization`` header (spec §1).

    Args:
        ws_url: The gateway's WebSocket address.
        token: The user's token; ``None`` sends none.
        options: Anything else for `websockets.asyncio.client.connect`.

    Raises:
        websockets.exceptions.InvalidStatus: The gateway refused; ``error.response`` is its answer.
    """
    headers = dict(options.pop("additional_headers", None) or {})
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    # Without proxy=None a proxy setting of the machine would be asked for the way to loopback.
    defaults = {"proxy": None, "close_timeout": CLOSE_SECONDS}
    return await websockets_connect(ws_url, additional_headers=headers, **{**defaults, **options})


async def heartbeat(connection: ClientConnection, *, within: float = 5.0) -> float:
    """Send one ``heartbeat`` and wait for the ``ack`` with its id (spec §4); other messages are passed over.

    Args:
        connection: An open connection through a gateway.
        within: How long the ack may take, in seconds.

    Returns:
        The round trip in seconds.

    Raises:
        HeartbeatError: Another answer came, or none in time.
        websockets.exceptions.ConnectionClosed: The connection ended first.
    """
    identifier = f"heartbeat-{time.monotonic_ns()}"
    request = json.dumps({"id": identifier, "type": "heartbeat"})
    started = time.perf_counter()
    try:
        async with asyncio.timeout(within):
            await connection.send(request)
            answer = await _answer_to(identifier, connection)
    except TimeoutError:
        raise HeartbeatError(f"no answer to a heartbeat within {within:g} s") from None
    seconds = time.perf_counter() - started
    if answer.get("type") != "ack":
        raise HeartbeatError(f"a heartbeat was answered with {answer}")
    return seconds


async def _answer_to(identifier: str, connection: ClientConnection) -> dict[str, Any]:
    while True:
        message = json.loads(await connection.recv())
        if isinstance(message, dict) and message.get("id") == identifier:
            return message
