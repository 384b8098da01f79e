"""Never answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults.fault import RequestFault

if TYPE_CHECKING:
    from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang(RequestFault):
    """Read the request and stay silent until the client goes away or the fake stops."""

    name: ClassVar[str] = "hang"

    async def strike(self, request: web.Request) -> None:  # noqa: ARG002 -- the same signature for all
        """Wait to be cancelled."""
        await asyncio.Event().wait()
