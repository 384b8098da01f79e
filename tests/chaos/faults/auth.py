"""Faults of Auth, and its false evidence. New clients may be refused; live connections stay."""

from __future__ import annotations

import signal
from typing import Any, ClassVar, Final

from tests.chaos.faults.base import Fault
from tests.chaos.gateway_process import Gateway
from tests.chaos.service import AUTH

VALIDATE: Final = "/api/v1/auth/validate"


class OfAuth(Fault):
    """A fault of Auth. New clients may be refused; live connections stay."""

    refused = True

    def choose(self) -> None:
        self.target = AUTH


class AuthKilled(OfAuth):
    """SIGKILL, and a new process with the same key later."""

    takes = 1.0

    async def begin(self) -> None:
        await self.stage.auth.end(signal.SIGKILL)

    async def end(self) -> None:
        await self.stage.auth.start()


class AuthFrozen(OfAuth):
    """SIGSTOP and SIGCONT."""

    async def begin(self) -> None:
        self.stage.auth.signal(signal.SIGSTOP)

    async def end(self) -> None:
        self.stage.auth.signal(signal.SIGCONT)


class AuthPartitioned(OfAuth):
    """Nothing passes between Auth and one gateway."""

    gateway: Gateway

    def choose(self) -> None:
        self.gateway = self.rng.choice(self.stage.gateways)
        self.target = f"auth from {self.gateway.name}"

    async def begin(self) -> None:
        self.gateway.links[AUTH].cut()

    async def end(self) -> None:
        self.gateway.links[AUTH].heal()


class AuthScripted(OfAuth):
    """Auth misbehaves at every question."""

    fault: ClassVar[str]
    parameters: ClassVar[dict[str, Any]] = {}

    async def begin(self) -> None:
        await self.script(self.stage.auth, self.fault, VALIDATE, **self.parameters)

    async def end(self) -> None:
        await self.unscript(self.stage.auth)


class AuthRefusesAll(AuthScripted):
    """False evidence: 401 to every token, for longer than two questions about a live connection are apart."""

    fault = "error"
    parameters: ClassVar[dict[str, Any]] = {"status": 401}
    seconds = (13.0, 15.0)


class AuthFails(AuthScripted):
    """500 to everything."""

    fault = "error"
    parameters: ClassVar[dict[str, Any]] = {"status": 500}


class AuthSlow(AuthScripted):
    """Every answer takes 0.8 s; nobody is refused."""

    refused = False
    fault = "latency"
    parameters: ClassVar[dict[str, Any]] = {"seconds": 0.8}
