"""The fault `hang`: never answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from memmie_fake_base.faults.fault import RequestFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang(RequestFault):
    """Read the request and do not answer until the client leaves or the fake stops."""

    name: ClassVar[str] = "hang"

    async def strike(self, request: web.Request) -> None:  # noqa: ARG002 - the same signature for all
        """Wait until the request is cancelled."""
        await asyncio.Event().wait()
