"""The faults of a chaos run, each a small class with what it may cost; `FAULTS` is the table.

A fault reaches a Studio, a gateway, a connection between the two, or nobody. Only in its reach may it cost what the
class says: connections that end (`ends`), acknowledgements that are late (`late`), and, wherever a client connects,
refusals (`refused`). A fault without any of these must go unnoticed.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from typing import Any, ClassVar, Final

from tests.chaos.invariants import Spell
from tests.chaos.stage import LAST_STUDIO, Gateway, Service, Stage

from memmie_harness.targets.errors import TargetError

VALIDATE: Final = "/api/v1/auth/validate"


class Fault:
    """One fault, with the target that the schedule has chosen.

    Args:
        stage: what it breaks.
        rng: chooses its target and how long it lasts.
    """

    ends: ClassVar[bool] = False
    late: ClassVar[bool] = False
    refused: ClassVar[bool] = False
    seconds: ClassVar[tuple[float, float]] = (3.0, 6.0)

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self.stage = stage
        self.rng = rng
        self.lasts = rng.uniform(*self.seconds)
        self.target = ""
        self.choose()

    def __str__(self) -> str:
        words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(self).__name__).strip()
        return f"{words}{': ' if self.target else ''}{self.target}"

    def choose(self) -> None:
        """Choose a target."""

    def reach(self) -> dict[str, Any]:
        """Return the fields of `Spell` that say what is in its reach."""
        return {}

    def spell(self) -> Spell:
        """Return its spell, which begins now."""
        return Spell(
            str(self), time.monotonic(), ends=self.ends, late=self.late, refused=self.refused, **self.reach()
        )

    async def begin(self) -> None:
        """Break something."""

    async def end(self) -> None:
        """Mend it."""

    async def script(self, service: Service, fault: str, route: str, **parameters: Any) -> None:
        """Script a fault of a fake (see its `--help`)."""
        body = {"fault": fault, "route": route, **parameters}
        async with self.stage.http.post(f"{service.url}/_control/faults", json=body) as response:
            response.raise_for_status()

    async def unscript(self, service: Service) -> None:
        """Remove all scripted faults of a fake."""
        async with self.stage.http.get(f"{service.url}/_control/faults") as response:
            faults = (await response.json())["faults"]
        for fault in faults:
            async with self.stage.http.delete(f"{service.url}/_control/faults/{fault['id']}") as response:
                response.raise_for_status()


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


class OfAuth(Fault):
    """A fault of Auth. New clients may be refused; live connections stay."""

    refused = True

    def choose(self) -> None:
        self.target = "auth"


class AuthKilled(OfAuth):
    """SIGKILL, and a new process with the same key later."""

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

    async def begin(self) -> None:
        self.rng.choice(self.stage.auth.links).cut()

    async def end(self) -> None:
        for link in self.stage.auth.links:
            link.heal()


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

    async def begin(self) -> None:
        self.gateway.moves += await self.gateway.count_moves(self.stage.http)
        try:
            await self.gateway.target.stop()
        except TargetError as error:
            self.stage.problems.append(f"{self.target}: {str(error).splitlines()[0]}")
        self.gateway.keep_log()

    async def end(self) -> None:
        await self.gateway.again()


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


FAULTS: Final[tuple[type[Fault], ...]] = (
    StudioKilled,
    StudioStopped,
    StudioFrozen,
    StudioFlapping,
    StudioSlow,
    StudioMoved,
    StudioPartitioned,
    PairPartitioned,
    PairFlapping,
    HealthBroken,
    NamesFail,
    NamesVanish,
    AuthKilled,
    AuthFrozen,
    AuthPartitioned,
    AuthRefusesAll,
    AuthFails,
    AuthSlow,
    GatewayDrained,
    GatewayKilled,
    GatewayFrozen,
)
"""Every fault but those of the last Studio, which is added in one round and removed in the next."""

PAUSE_SECONDS: Final = 2.0
"""Calm between two faults, on top of what a fault takes to begin and to end."""


def schedule(stage: Stage, rng: random.Random, seconds: float, only: str | None = None) -> list[Fault]:
    """Return the faults of a run in their order: every kind in turn, in a new order each round.

    Args:
        stage: what they break.
        rng: decides order, targets and durations.
        seconds: how long the faults and the pauses between them take in all.
        only: the name of a class, to have no other faults.
    """
    faults: list[Fault] = []
    added = False
    while True:
        last: type[Fault] = StudioRemoved if added else StudioAdded
        kinds = [kind for kind in (*FAULTS, last) if only in (None, kind.__name__)]
        for kind in rng.sample(kinds, len(kinds)):
            fault = kind(stage, rng)
            seconds -= fault.lasts + PAUSE_SECONDS
            if seconds < 0:
                return faults
            faults.append(fault)
        added = not added
