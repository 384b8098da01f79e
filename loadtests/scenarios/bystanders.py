"""Scenarios whose well-behaved users must notice nothing of what others do."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Final

from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD
from loadtests.runs.recorder import ANSWERED, UNANSWERED
from loadtests.scenarios.director import Director
from loadtests.scenarios.options import add_every
from loadtests.scenarios.scenario import AddArgument, Scenario
from loadtests.users.crowd import MISBEHAVE

FIGURES: Final = ("answered", "lost", "closed")
"""What `tell_heartbeats` sets."""

BEFORE: Final = "gateway p99 before"
"""What `measure_disturbed` sets."""


class Bystanders(Scenario, ABC):
    """Heartbeat users, and perhaps others that misbehave in the second half."""

    part = 2
    latencies: ClassVar[tuple[str, ...]] = (GATEWAY, DIRECT, OVERHEAD)

    def add_options(self, add: AddArgument) -> None:
        """Add the pace."""
        add_every(add)

    def measure_disturbed(self, director: Director, what: str) -> None:
        """Measure half the time in peace, and half of it while others misbehave; the latencies are of the second half."""
        director.measure(director.seconds / 2)
        before = director.counted().latencies().get(GATEWAY)
        if before is not None:
            director.figure(BEFORE, before.p99, "s")
        director.event(what)
        director.order(MISBEHAVE)
        director.measure(director.seconds / 2)

    def tell_heartbeats(self, director: Director) -> None:
        """Set the figures of the well-behaved users."""
        counted = director.counted()
        director.figure("answered", counted.totals[ANSWERED])
        director.figure("lost", counted.totals[UNANSWERED])
        director.figure("closed", counted.closes.total())
