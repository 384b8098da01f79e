"""A Studio is killed under load: its users come back on another, nobody else notices, nothing is lost.

After a third of the time the first Studio is killed (SIGKILL). The gateway closes its users with 1012, which means:
connect again. They do, after a random part of a second, and resend what was not answered; when all are back, it goes
on for the rest of the time. `closed besides` counts users that were closed without having been on that Studio;
`closed otherwise`, those that were not told 1012.
"""

import os
import signal
from typing import Final
from urllib.parse import urlsplit

from loadtests.scenarios.comeback import FIGURES, Comeback
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.play import play
from loadtests.stack.asking import studio_connections
from loadtests.stack.system import System
from loadtests.users.crowd import MARK
from loadtests.users.returning import ReturningUser

__all__ = ["ReturningUser"]

RECONNECT: Final = "1012"
"""The close code the gateway sends if the Studio is gone (spec §1)."""

NOTICE_SECONDS: Final = 15.0


class Failover(Comeback):
    """A Studio is killed."""

    measured = "before the kill"
    figures = (*FIGURES, "on the killed Studio", "closed besides", "closed otherwise")

    def missing(self, system: System) -> str:
        """Ask for the Studio."""
        if system.studios and system.studio_pids:
            return ""
        return "--direct ws://… and --studio-pid PID, the address and the process of the Studio that is to be killed"

    def run(self, director: Director) -> None:
        """Connect, kill, wait for everyone."""
        system = director.system
        self.connect(director)
        director.measure(director.seconds / self.part)
        name = urlsplit(system.studios[0]).netloc
        on_it = studio_connections(system.gateways[0]).get(name, 0)
        director.event(f"Studio {name} with {on_it} connections is killed")
        director.order(MARK)
        try:
            os.kill(system.studio_pids[0], signal.SIGKILL)
        except ProcessLookupError:
            raise StoppedError(f"Studio {name} had ended before it was killed") from None
        director.until(
            lambda counted: counted.closes.total() >= on_it, "told of the end", within=NOTICE_SECONDS
        )
        self.wait_for_all(director)
        director.rest(director.seconds * 2 / 3)
        closes = director.counted().closes.copy()
        director.leave()
        self.tell_returns(director)
        director.figure("on the killed Studio", on_it)
        director.figure("closed besides", closes.total() - on_it)
        director.figure("closed otherwise", closes.total() - closes[RECONNECT])


SCENARIO = Failover()
play(SCENARIO)
