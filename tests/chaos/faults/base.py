"""What every fault has in common: its target, its duration, its reach, and what it may cost there.

A fault reaches a Studio, a gateway, a connection between the two, or nobody. Only in its reach may it cost what the
class says: connections that end (`ends`), acknowledgements that are late (`late`), and, wherever a client connects,
refusals (`refused`). A fault without any of these must go unnoticed.
"""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

from tests.chaos.records import Spell
from tests.chaos.service import Service
from tests.chaos.stage import Stage


class Fault:
    """One fault, with the target that the schedule has chosen.

    Args:
        stage: what it breaks.
        rng: chooses its target and how long it lasts.

    Attributes:
        ends: whether connections may end in its reach.
        late: whether acknowledgements may be late in its reach.
        refused: whether clients may be refused.
        seconds: the shortest and the longest time for which it lasts.
        takes: seconds for which it takes to begin and to end, about.
        lasts: seconds for which this one lasts.
        target: what it strikes.
    """

    ends: ClassVar[bool] = False
    late: ClassVar[bool] = False
    refused: ClassVar[bool] = False
    seconds: ClassVar[tuple[float, float]] = (3.0, 6.0)
    takes: ClassVar[float] = 0.0

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
