"""drain: the gateway gets SIGTERM under load, and a second one takes over."""

from __future__ import annotations

import signal
import time
from argparse import ArgumentParser, Namespace
from typing import Final

import psutil

from loadtests.scenarios.options import add_every
from loadtests.scenarios.returns import FIGURES, ramp_returning, tell_returns
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.system import Plan, System
from loadtests.users.returning import ReturningUser
from loadtests.users.swarm import Swarm, SwarmError

GOING_AWAY: Final = "1001"
"""What the gateway closes with when it shuts down (spec §1)."""

DRAIN_SECONDS: Final = 5
DONE_SECONDS: Final = 60.0


class Drain(Scenario):
    """A gateway is shut down."""

    name = "drain"
    about = (
        "The gateway gets SIGTERM under load and a second one takes over: everyone moves, nothing is lost."
    )
    teaches = f"""\
After a third of the time the gateway gets SIGTERM, as in a rolling update; from then on new connections go to a second
one with the same Studios. The first closes its users with 1001, over DRAIN_SECONDS ({DRAIN_SECONDS} in a stack of its
own), so that they do not all come at once; each comes back after a random part of a second and asks again what was not
answered. When all are back, it goes on for another third of the time. `closed otherwise` counts those who were not told
1001; `drained after` is the end of the first's process."""
    seconds = 30
    measured = "before SIGTERM"
    part = 3
    user_classes = (ReturningUser,)
    figures = (*FIGURES, "drained after", "closed otherwise")

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the pace."""
        add_every(parser)

    def plan(self, options: Namespace) -> Plan:
        """Return two gateways that take their time."""
        return Plan(
            options.connections,
            gateways=2,
            pinned=options.pin,
            settings={"DRAIN_SECONDS": str(DRAIN_SECONDS)},
        )

    def missing(self, system: System) -> str:
        """Look for the two gateways, and the process of the first."""
        if len(system.gateways) < 2:
            return "--gateway a second time: the gateway that takes over"
        return (
            ""
            if system.gateway_pids
            else "--gateway-pid PID, the process of the gateway that is to be shut down"
        )

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Ramp, shut down, wait for them."""
        recorder, environment = swarm.recorder, swarm.environment
        users = ramp_returning(swarm, options.connections)
        swarm.measure(options.seconds / self.part)
        recorder.event("the gateway gets SIGTERM")
        environment.gateway_url = environment.system.gateways[1]
        ended_at = time.monotonic()
        try:
            first = psutil.Process(environment.system.gateway_pids[0])
            first.send_signal(signal.SIGTERM)
        except psutil.NoSuchProcess:
            raise SwarmError("the gateway had ended before it got SIGTERM") from None
        drained = swarm.until(lambda: _ended(first), "drained", within=DONE_SECONDS)
        recorder.event("its process has ended")
        swarm.until(lambda: all(user.served for user in users), "all back")
        recorder.event("all are back")
        swarm.rest(options.seconds / 3)
        closed = recorder.closes.total()
        swarm.stop()
        tell_returns(recorder, users, since=ended_at)
        recorder.figure("drained after", drained, "s")
        recorder.figure("closed otherwise", closed - recorder.closes[GOING_AWAY])


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
