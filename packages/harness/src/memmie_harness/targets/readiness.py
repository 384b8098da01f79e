"""Waiting until a gateway says that it accepts work."""

from __future__ import annotations

import asyncio

import aiohttp

from memmie_harness.targets.target import TargetError

POLL_SECONDS = 0.02
"""``/ready`` cannot be subscribed to, so it is asked again this long after each refusal."""


async def wait_until_ready(url: str, within: float) -> None:
    """Return once ``GET {url}/ready`` answers 200 (spec §1), within that many seconds.

    Raises:
        TargetError: It did not in time; the message has the last answer.
    """
    answer = "no answer yet"
    try:
        async with asyncio.timeout(within), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/ready") as response:
                        if response.status == 200:
                            return
                        answer = f"{response.status} {(await response.text())[:500]}"
                except aiohttp.ClientError as error:
                    answer = str(error)
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise TargetError(f"{url}/ready was not 200 within {within:g} s; the last answer: {answer}") from None
