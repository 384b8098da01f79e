"""Noticing that any gateway is ready: by its port, by the answer to a path, or by a line of its log."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from memmie_harness.targets.errors import TargetError

POLL_SECONDS: Final = 0.02
"""Time between two looks at whether a gateway is ready."""

ASK_SECONDS: Final = 1.0
"""How long one connection or one request may take."""


@dataclass(frozen=True, slots=True)
class ReadyWhen:
    """How to notice that a gateway is ready; all that is given must be true.

    Attributes:
        log: a line of the output matches this; a group `port` says on which port the gateway listens.
        port: the port accepts connections.
        path: GET of this path is answered with a 2xx status.
    """

    log: re.Pattern[str] | None = None
    port: bool = False
    path: str | None = None


PORT_ONLY: Final = ReadyWhen(port=True)
"""The usual way."""


def listening(ready: ReadyWhen) -> ReadyWhen:
    """Return how to notice that a gateway listens, which has no healthy backend and so may not become ready."""
    return replace(ready, port=True, path=None)


async def missing_at(url: str, ready: ReadyWhen) -> str | None:
    """Return what is missing at a gateway's address, its log left aside; None if nothing is.

    Args:
        url: the HTTP address of the gateway.
        ready: how to notice that it is ready.
    """
    if ready.port and not await _accepts(url):
        return f"a listener on port {port_of(url)}"
    if ready.path is not None:
        try:
            timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url + ready.path) as response,
            ):
                if not 200 <= response.status < 300:
                    return f"a 2xx from {ready.path}, which answers {response.status}"
        except (aiohttp.ClientError, TimeoutError):
            return f"an answer from {ready.path}"
    return None


async def wait_for(look: Callable[[], Awaitable[str | None]], seconds: float) -> None:
    """Look again and again until nothing is missing.

    Args:
        look: returns what is missing, or None.
        seconds: how long to wait.

    Raises:
        TargetError: something was still missing; the message names it. Or `look` raised it.
    """
    deadline = time.monotonic() + seconds
    while (missing := await look()) is not None:
        if time.monotonic() >= deadline:
            raise TargetError(f"it was not ready within {seconds:g} s; missing was {missing}")
        await asyncio.sleep(POLL_SECONDS)


def port_of(url: str) -> int:
    """Return the port of an HTTP address, which need not name it."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


async def _accepts(url: str) -> bool:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            _, writer = await asyncio.open_connection(urlsplit(url).hostname, port_of(url))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
