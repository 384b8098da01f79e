"""Faults of Studios, and of the connections between a gateway and a Studio."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from tests.chaos.faults.base import Fault
from tests.chaos.gateway_process import Gateway
from tests.chaos.service import Service
from tests.chaos.stage import LAST_STUDIO


class OfStudio(Fault):
    """A fault of one Studio, which costs the connections on it."""

    ends = True

    def choose(self) -> None:
        self.target = self.rng.choice([name for name in self.stage.studios if name != LAST_STUDIO])

    @property
    def studio(self) -> Service:
        """The Studio."""
        return self.stage.studios[self.target]

    def reach(self) -> dict[str, Any]:
        return {"studios": [self.target]}


class StudioKilled(OfStudio):
    """SIGKILL, and a new process later."""

    takes = 1.0

    async def begin(self) -> None:
        await self.studio.end(signal.SIGKILL)

    async def end(self) -> None:
        await self.studio.start()


class StudioStopped(StudioKilled):
    """SIGTERM, and a new process later."""

    async def begin(self) -> None:
        await self.studio.end()


class StudioFrozen(OfStudio):
    """SIGSTOP for longer than a ping may take, then SIGCONT."""

    late = True
    seconds = (7.0, 9.0)

    async def begin(self) -> None:
        self.studio.signal(signal.SIGSTOP)

    async def end(self) -> None:
        self.studio.signal(signal.SIGCONT)


class StudioFlapping(OfStudio):
    """Killed three times, with a second up and a second down."""

    seconds = (0.1, 0.2)
    takes = 8.0

    async def begin(self) -> None:
        for _ in range(3):
            await self.studio.end(signal.SIGKILL)
            await asyncio.sleep(1)
            await self.studio.start()
            await asyncio.sleep(1)


class StudioSlow(OfStudio):
    """Everything to and from a Studio takes 0.4 s longer; nobody is disconnected."""

    ends = False
    late = True

    async def begin(self) -> None:
        self.delay(0.4)

    async def end(self) -> None:
        self.delay(0.0)

    def delay(self, seconds: float) -> None:
        """Delay both relays."""
        for link in self.studio.links:
            link.delay = seconds


class StudioMoved(OfStudio):
    """A Studio moves to another address, and the name server says so a second later."""

    seconds = (1.0, 2.0)

    async def begin(self) -> None:
        for gateway in self.stage.gateways:
            link = gateway.links[self.target]
            octets = link.address.split(".")
            octets[2] = str(int(octets[2]) + 1)
            await link.move(".".join(octets))

    async def end(self) -> None:
        for gateway in self.stage.gateways:
            gateway.names[f"{self.target}.chaos"] = gateway.links[self.target].address
            gateway.write_names()


class StudioPartitioned(OfStudio):
    """Nothing passes between a Studio and both gateways, in either direction."""

    late = True
    seconds = (7.0, 9.0)

    async def begin(self) -> None:
        for link in self.studio.links:
            link.cut()

    async def end(self) -> None:
        for link in self.studio.links:
            link.heal()


class OfPair(OfStudio):
    """A fault between one gateway and one Studio; the other gateway still reaches it."""

    gateway: Gateway

    def choose(self) -> None:
        super().choose()
        self.gateway = self.rng.choice(self.stage.gateways)

    def __str__(self) -> str:
        return f"{super().__str__()} from {self.gateway.name}"

    def reach(self) -> dict[str, Any]:
        return {"pairs": [(self.gateway.ws_url, self.target)]}


class PairPartitioned(OfPair):
    """Nothing passes between one gateway and one Studio."""

    late = True
    seconds = (7.0, 9.0)

    async def begin(self) -> None:
        self.gateway.links[self.target].cut()

    async def end(self) -> None:
        self.gateway.links[self.target].heal()


class PairFlapping(OfPair):
    """All connections between one gateway and one Studio are reset, three times."""

    seconds = (0.1, 0.2)
    takes = 3.0

    async def begin(self) -> None:
        for _ in range(3):
            self.gateway.links[self.target].reset()
            await asyncio.sleep(1)


class HealthBroken(OfStudio):
    """False evidence: the health route of a Studio fails, but its connections work. It costs moves only."""

    ends = False
    seconds = (7.0, 9.0)

    async def begin(self) -> None:
        await self.script(self.studio, "error", "/ws/health", status=500)

    async def end(self) -> None:
        await self.unscript(self.studio)


class StudioAdded(Fault):
    """False evidence: the last Studio starts, so the homes of a quarter of the users change. It costs moves only."""

    seconds = (8.0, 12.0)

    def choose(self) -> None:
        self.target = LAST_STUDIO

    async def begin(self) -> None:
        await self.stage.studios[LAST_STUDIO].start()


class StudioRemoved(StudioAdded):
    """The last Studio ends."""

    ends = True

    def reach(self) -> dict[str, Any]:
        return {"studios": [LAST_STUDIO]}

    async def begin(self) -> None:
        await self.stage.studios[LAST_STUDIO].end()
