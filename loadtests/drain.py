"""The gateway gets SIGTERM under load and a second one takes over: everyone moves, nothing is lost.

After a third of the time the gateway gets SIGTERM, as in a rolling update; from then on new connections go to a second
one with the same Studios. The first closes its users with 1001, over DRAIN_SECONDS (5 in a stack of its own), so that
they do not all come at once; each comes back after a random part of a second and resends what was not answered.
When all are back, it goes on for another third of the time. `closed otherwise` counts users that were not told 1001;
`drained after` is the end of the first gateway's process.
"""

import signal
from argparse import Namespace
from typing import Final

import psutil

from loadtests.scenarios.comeback import FIGURES, Comeback
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.play import play
from loadtests.stack.system import Plan, System
from loadtests.users.crowd import MARK, MOVE
from loadtests.users.returning import ReturningUser

__all__ = ["ReturningUser"]

GOING_AWAY: Final = "1001"
"""The close code the gateway sends when it shuts down (spec §1)."""

DRAIN_SECONDS: Final = 5
DONE_SECONDS: Final = 60.0


class Drain(Comeback):
    """A gateway is shut down."""

    measured = "before SIGTERM"
    figures = (*FIGURES, "drained after", "closed otherwise")

    def plan(self, options: Namespace) -> Plan:
        """Return two gateways that take their time."""
        settings = {"DRAIN_SECONDS": str(DRAIN_SECONDS)}
        return Plan(options.num_users, gateways=2, pinned=options.pin, settings=settings)

    def missing(self, system: System) -> str:
        """Ask for the two gateways, and the process of the first."""
        if len(system.gateways) < 2:
            return "--gateway a second time: the gateway that takes over"
        return (
            "" if system.gateway_pids else "--gateway-pid PID, the process of the gateway that is shut down"
        )

    def run(self, director: Director) -> None:
        """Connect, shut down, wait for everyone."""
        self.connect(director)
        director.measure(director.seconds / self.part)
        director.event("the gateway gets SIGTERM")
        director.order(MOVE)
        director.order(MARK)
        try:
            first = psutil.Process(director.system.gateway_pids[0])
            first.send_signal(signal.SIGTERM)
        except psutil.NoSuchProcess:
            raise StoppedError("the gateway had ended before it got SIGTERM") from None
        drained = director.until(lambda _: _ended(first), "drained", within=DONE_SECONDS)
        director.event("its process has ended")
        self.wait_for_all(director)
        director.rest(director.seconds / 3)
        closes = director.counted().closes.copy()
        director.leave()
        self.tell_returns(director)
        director.figure("drained after", drained, "s")
        director.figure("closed otherwise", closes.total() - closes[GOING_AWAY])


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


SCENARIO = Drain()
play(SCENARIO)
