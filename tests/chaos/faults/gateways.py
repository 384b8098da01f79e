"""Faults of the gateways themselves."""

from __future__ import annotations

import signal
from typing import Any

from tests.chaos.faults.base import Fault
from tests.chaos.gateway_process import Gateway

from memmie_harness.targets.errors import TargetError


class OfGateway(Fault):
    """A fault of one gateway, which costs the connections through it."""

    ends = True
    refused = True
    gateway: Gateway

    def choose(self) -> None:
        self.gateway = self.rng.choice(self.stage.gateways)
        self.target = self.gateway.name

    def reach(self) -> dict[str, Any]:
        return {"gateways": [self.gateway.ws_url]}


class GatewayDrained(OfGateway):
    """SIGTERM, exit code 0 in time, and a new process at the same port."""

    seconds = (0.5, 2.0)
    takes = 3.0

    async def begin(self) -> None:
        self.gateway.moves += await self.gateway.count_moves(self.stage.http)
        try:
            await self.gateway.target.stop()
        except TargetError as error:
            self.stage.problems.append(f"{self.target}: {str(error).splitlines()[0]}")
        self.gateway.keep_log()

    async def end(self) -> None:
        await self.gateway.start()


class GatewayKilled(GatewayDrained):
    """SIGKILL, and a new process at the same port."""

    async def begin(self) -> None:
        self.gateway.moves += await self.gateway.count_moves(self.stage.http)
        await self.gateway.target.kill()
        self.gateway.keep_log()


class GatewayFrozen(OfGateway):
    """False evidence: SIGSTOP for longer than a ping may take, and SIGCONT. Nobody is disconnected."""

    ends = False
    late = True
    seconds = (4.0, 6.0)

    async def begin(self) -> None:
        self.gateway.target.send_signal(signal.SIGSTOP)

    async def end(self) -> None:
        self.gateway.target.send_signal(signal.SIGCONT)
