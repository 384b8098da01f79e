"""Waiting until a gateway is ready."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from memmie_harness.targets.errors import TargetError

POLL_SECONDS: Final = 0.06
"""Time between two requests for `/ready`, of which a gateway answers 20 in a second without counting them."""

READY: Final = range(200, 201)
"""The status of a gateway of this project that is ready."""

HAS_NO_READY: Final = range(200, 500)
"""The statuses of any gateway that is ready; one that has no route `/ready` answers with 404, 401 or the like."""


async def wait_until_ready(url: str, within: float, *, statuses: range = READY) -> None:
    """Return when `GET {url}/ready` answers 200 (spec §1).

    Args:
        url: the gateway's HTTP address.
        within: how many seconds to wait.
        statuses: the statuses of an answer that says that it is ready.

    Raises:
        TargetError: there was no such answer in time; the message has the last answer.
    """
    answer = "no answer yet"
    try:
        async with asyncio.timeout(within), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/ready") as response:
                        if response.status in statuses:
                            return
                        answer = f"{response.status} {(await response.text())[:500]}"
                except aiohttp.ClientError as error:
                    answer = str(error)
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise TargetError(
            f"{url}/ready did not answer 200 within {within:g} s; the last result: {answer}"
        ) from None
