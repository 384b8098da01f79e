"""Answer late."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults.fault import RequestFault, at_least

if TYPE_CHECKING:
    from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(RequestFault):
    """Wait `seconds`, more or less by up to `jitter` seconds (evenly spread), then go on."""

    name: ClassVar[str] = "latency"
    seconds: float
    jitter: float = 0.0

    def __post_init__(self) -> None:
        at_least("seconds", self.seconds, 0)
        at_least("jitter", self.jitter, 0)

    async def strike(self, request: web.Request) -> None:  # noqa: ARG002 -- the same signature for all
        """Wait."""
        spread = random.uniform(-self.jitter, self.jitter)  # noqa: S311 -- no secret depends on it
        await asyncio.sleep(max(0.0, self.seconds + spread))
