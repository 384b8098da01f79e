"""What shows that a stack works: an exchange through the gateway, as strong as the services behind it allow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import InvalidStatus, WebSocketException

from memmie_harness.client import HeartbeatError, connect, heartbeat

START_SECONDS: Final = 10.0
"""How long the developer's own Studio may take to start."""

RETRY_SECONDS: Final = 0.5
"""Time between two attempts."""


class CheckError(Exception):
    """The gateway is ready but does not work; the message says what happened instead."""


@dataclass(frozen=True, slots=True)
class Proof:
    """An exchange through the gateway that succeeded.

    Attributes:
        what: a phrase for people.
        seconds: how long it took.
    """

    what: str
    seconds: float


async def heartbeat_answered(ws_url: str, token: str) -> Proof:
    """Send a heartbeat, which every Studio of the contract answers (spec §4).

    Raises:
        CheckError: it was not answered.
    """
    with _explained(ws_url, "a heartbeat failed"):
        async with await connect(ws_url, token) as connection:
            seconds = await heartbeat(connection)
    return Proof("heartbeat → ack through the gateway", seconds)


async def websocket_opened(
    ws_url: str, token: str, studios: tuple[str, ...], on_wait: Callable[[str], None], *, query: str = ""
) -> Proof:
    """Open a WebSocket, which is all that is known of the developer's own Studio; wait a while for one that starts.

    Args:
        ws_url: the gateway's WebSocket address.
        token: a valid token.
        studios: the WebSocket addresses of the Studios.
        on_wait: called once, with a line for people, if no Studio accepts the first WebSocket.
        query: what a client adds to the address, such as the fields of Engine.IO.

    Raises:
        CheckError: it was refused.
    """
    deadline = time.monotonic() + START_SECONDS
    waiting = False
    where = " and ".join(studios)
    problem = f"a WebSocket to your Studio at {where} could not be opened"
    if "/socket.io" in where and not query:
        problem += " (does it speak Socket.IO? Then add --env SOCKETIO=passthrough)"
    with _explained(ws_url, problem):
        while True:
            began = time.perf_counter()
            try:
                async with await connect(_with_query(ws_url, query), token):
                    return Proof(
                        "a WebSocket through the gateway to your Studio, opened", time.perf_counter() - began
                    )
            except InvalidStatus as refusal:
                if refusal.response.status_code != 503:
                    raise
                if time.monotonic() >= deadline:
                    causes = [
                        f"{studio} itself: {await _without_gateway(_with_query(studio, query))}"
                        for studio in studios
                    ]
                    raise CheckError(
                        f"no WebSocket to your Studio could be opened; {'; '.join(causes)}"
                    ) from None
                if not waiting:
                    on_wait(f"waiting {START_SECONDS:g} seconds for your Studio at {where}; start it now")
                    waiting = True
            await asyncio.sleep(RETRY_SECONDS)


async def token_refused(ws_url: str) -> Proof:
    """Let the developer's own Auth refuse an invalid token; this process cannot make a valid one.

    Raises:
        CheckError: the gateway answered otherwise.
    """
    began = time.perf_counter()
    with _explained(ws_url, "your Auth could not be asked about a token"):
        try:
            async with await connect(ws_url, f"memmie-dev-{secrets.token_urlsafe()}"):
                raise CheckError("your Auth accepts a random token, so it is not safe to go on")
        except InvalidStatus as refusal:
            if _code(refusal) != "token_invalid":
                raise
    return Proof("an invalid token, refused by your Auth", time.perf_counter() - began)


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


async def _without_gateway(studio: str) -> str:
    """Say in words what a Studio answers to a WebSocket that does not come from the gateway."""
    try:
        # The header is that of the gateway, because a Studio may fail without it.
        await (await connect(studio, None, additional_headers={"X-User-ID": "dev"}, open_timeout=2)).close()
    except InvalidStatus as refusal:
        return f"answered with {refusal.response.status_code}"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    except WebSocketException as error:
        return str(error)
    return "accepted one without the gateway"


def _code(refusal: InvalidStatus) -> object:
    with contextlib.suppress(ValueError, AttributeError):
        return json.loads(refusal.response.body or b"").get("code")
    return None


@contextlib.contextmanager
def _explained(ws_url: str, problem: str) -> Iterator[None]:
    try:
        yield
    except (HeartbeatError, WebSocketException, OSError) as error:
        reason = str(error)
        if isinstance(error, InvalidStatus):
            body = bytes(error.response.body or b"").decode("utf-8", "replace")
            reason = f"the gateway answered {error.response.status_code} {body[:200]}"
        raise CheckError(f"the gateway at {ws_url} is ready, but {problem}: {reason}") from None
