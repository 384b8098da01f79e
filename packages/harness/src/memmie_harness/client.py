"""A WebSocket client of the gateway, and a heartbeat that checks a whole stack."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect

CLOSE_SECONDS: Final = 1.0
"""How long a client waits for the answer to its Close; on loopback the answer comes at once or never."""


class HeartbeatError(Exception):
    """A heartbeat got no `ack`; the message has the answer, or says that none came."""


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Where a client puts its token: by default into the field `Authorization` of the header (spec §1).

    Attributes:
        query: a field of the query instead.
        subprotocol: the subprotocol before the token instead; the token is a subprotocol, too.
    """

    query: str = ""
    subprotocol: str = ""


IN_HEADER: Final = TokenPlace()
"""The place that a gateway of this project recommends."""


async def connect(
    ws_url: str, token: str | None, *, place: TokenPlace = IN_HEADER, **options: Any
) -> ClientConnection:
    """Open a WebSocket through a gateway.

    Args:
        ws_url: the gateway's WebSocket address.
        token: the user's token; `None` sends none.
        place: where to put it.
        **options: more arguments of `websockets.asyncio.client.connect`.

    Raises:
        websockets.exceptions.InvalidStatus: the gateway refused the connection; `error.response` is its answer.
    """
    headers = dict(options.pop("additional_headers", None) or {})
    if token is not None and place.query:
        ws_url += f"{'&' if '?' in ws_url else '?'}{place.query}={quote(token, safe='')}"
    elif token is not None and place.subprotocol:
        options["subprotocols"] = [place.subprotocol, token, *(options.get("subprotocols") or ())]
    elif token is not None:
        headers["Authorization"] = f"Bearer {token}"
    # Without proxy=None, the machine's proxy settings would apply to loopback, too.
    defaults = {"proxy": None, "close_timeout": CLOSE_SECONDS}
    return await websockets_connect(ws_url, additional_headers=headers, **{**defaults, **options})


async def heartbeat(connection: ClientConnection, *, within: float = 5.0) -> float:
    """Send one `heartbeat` and wait for the `ack` with its id (spec §4), ignoring other messages.

    Args:
        connection: an open connection through a gateway.
        within: seconds the ack may take.

    Returns:
        the round trip time in seconds.

    Raises:
        HeartbeatError: another answer came, or none within the time.
        websockets.exceptions.ConnectionClosed: the connection ended first.
    """
    identifier = f"heartbeat-{time.monotonic_ns()}"
    request = json.dumps({"id": identifier, "type": "heartbeat"})
    started = time.perf_counter()
    try:
        async with asyncio.timeout(within):
            await connection.send(request)
            answer = await _answer_to(identifier, connection)
    except TimeoutError:
        raise HeartbeatError(f"a heartbeat got no answer within {within:g} s") from None
    seconds = time.perf_counter() - started
    if answer.get("type") != "ack":
        raise HeartbeatError(f"a heartbeat got no ack; the answer is {answer}")
    return seconds


async def _answer_to(identifier: str, connection: ClientConnection) -> dict[str, Any]:
    while True:
        message = json.loads(await connection.recv())
        if isinstance(message, dict) and message.get("id") == identifier:
            return message
