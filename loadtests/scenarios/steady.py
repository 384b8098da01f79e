"""steady: everyone sends a heartbeat a second; how much does the gateway add?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from loadtests.scenarios.bystanders import FIGURES, LATENCIES, ramp_heartbeats, tell_heartbeats
from loadtests.scenarios.options import add_every
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.system import System
from loadtests.users.heartbeat import HeartbeatUser
from loadtests.users.swarm import Swarm


class Steady(Scenario):
    """Many connections, each with a heartbeat a second."""

    name = "steady"
    about = "Many connections with a heartbeat a second each: what the gateway adds, and whether anything is lost."
    teaches = """\
Connections are opened at 250 a second, then everyone sends a heartbeat each second, at moments spread evenly over it.
A tenth of the users hold a second connection straight to a Studio and send the same message on both, one after the
other, in turn first: the difference of the two is the overhead, and what client, Studio and machine do to both is not
in it. A message's time ends when the kernel has its reply, not when a busy client gets to read it."""
    user_classes = (HeartbeatUser,)
    latencies = LATENCIES
    figures = FIGURES

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the pace."""
        add_every(parser)

    def missing(self, system: System) -> str:
        """Look for the comparison."""
        return (
            "" if system.studios else "--direct ws://…: overhead is the difference to a Studio asked directly"
        )

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Ramp, measure, stop."""
        ramp_heartbeats(swarm, options.connections)
        swarm.measure(options.seconds)
        swarm.stop()
        tell_heartbeats(swarm.recorder)
