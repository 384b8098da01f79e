"""The fault `latency`: answer late."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from memmie_fake_base.checks import at_least
from memmie_fake_base.faults.fault import RequestFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(RequestFault):
    """Wait `seconds` plus or minus up to `jitter` seconds (uniformly distributed), then continue."""

    name: ClassVar[str] = "latency"
    seconds: float
    jitter: float = 0.0

    def __post_init__(self) -> None:
        at_least("seconds", self.seconds, 0)
        at_least("jitter", self.jitter, 0)

    async def strike(self, request: web.Request) -> None:  # noqa: ARG002 - the same signature for all
        """Wait, then let the request continue."""
        spread = random.uniform(-self.jitter, self.jitter)  # noqa: S311 - no secret depends on it
        await asyncio.sleep(max(0.0, self.seconds + spread))
