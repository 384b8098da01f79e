"""What a scenario is: options, users, what happens to them, and the figures that show it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from argparse import Action, Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from locust import User

from loadtests.common.run import GATEWAY, WHOLE
from loadtests.common.units import shown
from loadtests.scenarios.director import Director
from loadtests.stack.system import Plan, System

AddArgument = Callable[..., Action]
"""What adds an option; takes what `ArgumentParser.add_argument` takes."""


class Scenario(ABC):
    """One load scenario; the docstring of its locustfile is its help.

    Attributes:
        connections: the number of users unless -u says otherwise; most have one connection.
        seconds: how long it goes on after the ramp unless --seconds or -t says otherwise.
        timed: whether it lasts for so long; else it ends when its work is done.
        measured: when latencies count, in words that follow on how long that is.
        part: latencies count for one in so many parts of the time.
        pinned: whether a stack of its own gives the gateway a core for itself, unless --no-pin or --pin is given.
        distributed: whether it can run with --master and --worker.
        latencies: which ones it measures, of `gateway`, `direct` and `overhead`.
        figures: the names of the results that it sets.
    """

    connections: ClassVar[int] = 1000
    seconds: ClassVar[float] = 60
    timed: ClassVar[bool] = True
    measured: ClassVar[str] = "after the ramp"
    part: ClassVar[int] = 1
    pinned: ClassVar[bool] = True
    distributed: ClassVar[bool] = False
    latencies: ClassVar[tuple[str, ...]] = (GATEWAY,)
    figures: ClassVar[tuple[str, ...]]

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return type(self).__name__.lower()

    @property
    def teaches(self) -> str:
        """What it shows, in one sentence; what happens, and what its figures mean."""
        return (sys.modules[type(self).__module__].__doc__ or "").strip()

    @property
    def about(self) -> str:
        """What it shows, in one sentence."""
        return self.teaches.partition("\n")[0]

    def add_options(self, add: AddArgument) -> None:
        """Add the scenario's own options."""
        del add

    def prepare(self, options: Namespace) -> None:
        """Set how many users of each class there are, if there is more than one class."""
        del options

    def plan(self, options: Namespace) -> Plan:
        """Return the stack it starts unless --gateway is given."""
        return Plan(connections=options.num_users, pinned=options.pin)

    def accounts(self, options: Namespace) -> int:
        """Return how many tokens it needs."""
        return int(options.num_users)

    def missing(self, system: System) -> str:
        """Return which option a system that runs already needs in addition, and why; "" for none."""
        del system
        return ""

    def measured_time(self, seconds: float) -> str:
        """Return what the latencies are of, in words."""
        return f"the {shown(seconds / self.part, 's')} {self.measured}" if self.timed else WHOLE

    def totals(self, users: Sequence[User]) -> Mapping[str, float]:
        """Return numbers of the users that are added up over the workers."""
        del users
        return {}

    def most(self, users: Sequence[User]) -> Mapping[str, float]:
        """Return numbers of the users of which the greatest counts."""
        del users
        return {}

    @abstractmethod
    def run(self, director: Director) -> None:
        """Do to the users what the scenario is about, and set its figures."""
