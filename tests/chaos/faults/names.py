"""Faults of the name server."""

from __future__ import annotations

from tests.chaos.faults.base import Fault


class NamesFail(Fault):
    """The name server answers nothing: every last address stays in use."""

    async def begin(self) -> None:
        for gateway in self.stage.gateways:
            gateway.write_names(dict.fromkeys(gateway.names, ""))

    async def end(self) -> None:
        for gateway in self.stage.gateways:
            gateway.write_names()


class NamesVanish(NamesFail):
    """False evidence: the name server says that no name exists, while every service works."""

    async def begin(self) -> None:
        for gateway in self.stage.gateways:
            gateway.write_names({})
