"""What a scenario is: its users, what they need, and what happens to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from typing import ClassVar

from locust import User

from loadtests.common.run import WHOLE
from loadtests.common.units import shown
from loadtests.runs.recorder import GATEWAY
from loadtests.stack.system import Plan, System
from loadtests.users.swarm import Swarm


class Scenario(ABC):
    """One load scenario.

    Attributes:
        name: what it is called on the command line.
        about: what it shows, in one sentence.
        teaches: what happens and what the figures mean, for `--help`.
        connections: how many there are if nobody says otherwise.
        seconds: length of what is measured if nobody says otherwise.
        timed: whether it lasts for `--seconds`; else it ends when its work is done.
        measured: when latencies count, in words that follow on how long that is.
        part: latencies count for one in so many parts of `--seconds`.
        pinned: whether a stack of its own gives the gateway a core for itself, where nobody says otherwise.
        user_classes: the kinds of users.
        latencies: which ones it measures, of `gateway`, `direct` and `overhead`.
        figures: the names of the results that it sets.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    teaches: ClassVar[str]
    connections: ClassVar[int] = 1000
    seconds: ClassVar[float] = 60
    timed: ClassVar[bool] = True
    measured: ClassVar[str] = "after the ramp"
    part: ClassVar[int] = 1
    pinned: ClassVar[bool] = True
    user_classes: ClassVar[tuple[type[User], ...]]
    latencies: ClassVar[tuple[str, ...]] = (GATEWAY,)
    figures: ClassVar[tuple[str, ...]]

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the scenario's own options; `--connections` and `--seconds` are there."""
        del parser

    def plan(self, options: Namespace) -> Plan:
        """Return the stack it needs, where it has to start one."""
        return Plan(connections=options.connections, pinned=options.pin)

    def users(self, options: Namespace) -> int:
        """Return how many tokens it needs."""
        return int(options.connections)

    def missing(self, system: System) -> str:
        """Say which option a system of someone else's lacks for this, and why; "" for none."""
        del system
        return ""

    def measured_time(self, options: Namespace) -> str:
        """Return what latencies are of, in words."""
        return f"the {shown(options.seconds / self.part, 's')} {self.measured}" if self.timed else WHOLE

    @abstractmethod
    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Let users come, do what the scenario is about, and set the recorder's figures."""
