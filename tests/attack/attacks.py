"""All attacks, and performing them in a process of their own, so that their work is not that of the good clients."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Final

import uvloop
from tests.attack import connects, frames, heads, identities, messages, proxied, requests, socket_io, tokens
from tests.attack.enemy import ATTACKS, Damage, Enemy, Scene

__all__ = ["ATTACKS", "perform"]

MODULES: Final = (connects, frames, heads, identities, messages, proxied, requests, socket_io, tokens)
"""Importing them fills `ATTACKS`."""

NICE: Final = 5
"""In reality attackers have machines of their own; on one machine they are the last to run."""

OVERTIME: Final = 15.0
"""Seconds that an attack may take to look at what it has done."""


def perform(names: Sequence[str], scene: Scene, seconds: float) -> dict[str, Damage]:
    """Perform attacks at the same time, each with its share of the suite's limits."""
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICE))
    return uvloop.run(_perform(names, scene, seconds))


async def _perform(names: Sequence[str], scene: Scene, seconds: float) -> dict[str, Damage]:
    numbers = {name: number for number, name in enumerate(ATTACKS)}

    async def one(name: str) -> Damage:
        enemy = Enemy(scene, name, numbers[name], seconds, 1 / len(names))
        try:
            async with asyncio.timeout(seconds + OVERTIME):
                await ATTACKS[name].act(enemy)
        except Exception as error:  # noqa: BLE001 - an attack that cannot go on is a result
            enemy.check(False, f"it could not go on: {error!r}")  # noqa: FBT003 - what is checked has failed
        return enemy.ended()

    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
