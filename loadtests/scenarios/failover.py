"""failover: a Studio is killed under load; does anyone notice who was not on it?"""

from __future__ import annotations

import os
import signal
import time
from argparse import ArgumentParser, Namespace
from typing import Final
from urllib.parse import urlsplit

from loadtests.scenarios.options import add_every
from loadtests.scenarios.returns import FIGURES, ramp_returning, tell_returns
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.metrics import studio_connections
from loadtests.stack.system import System
from loadtests.users.returning import ReturningUser
from loadtests.users.swarm import Swarm, SwarmError

RECONNECT: Final = "1012"
"""What the gateway closes with where the Studio is gone (spec §1)."""

NOTICE_SECONDS: Final = 15.0


class Failover(Scenario):
    """A Studio is killed."""

    name = "failover"
    about = (
        "A Studio is killed under load: its users come back on another, nobody else notices, nothing is lost."
    )
    teaches = """\
After a third of the time the first Studio is killed (SIGKILL). The gateway closes its users with 1012, which means:
connect again. They do, after a random part of a second, and ask again what was not answered; when all are back, it goes
on for the rest of the time. `closed besides` counts those who were closed without having been on that Studio;
`closed otherwise`, those who were not told 1012."""
    seconds = 30
    measured = "before the kill"
    part = 3
    user_classes = (ReturningUser,)
    figures = (*FIGURES, "on the killed Studio", "closed besides", "closed otherwise")

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the pace."""
        add_every(parser)

    def missing(self, system: System) -> str:
        """Look for the Studio."""
        if system.studios and system.studio_pids:
            return ""
        return "--direct ws://… and --studio-pid PID, the address and the process of the Studio that is to be killed"

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Ramp, kill, wait for them."""
        recorder, system = swarm.recorder, swarm.environment.system
        users = ramp_returning(swarm, options.connections)
        swarm.measure(options.seconds / self.part)
        name = urlsplit(system.studios[0]).netloc
        on_it = studio_connections(system.gateways[0]).get(name, 0)
        recorder.event(f"Studio {name} with {on_it} connections is killed")
        killed_at = time.monotonic()
        try:
            os.kill(system.studio_pids[0], signal.SIGKILL)
        except ProcessLookupError:
            raise SwarmError(f"Studio {name} had ended before it was killed") from None
        swarm.until(lambda: recorder.closes.total() >= on_it, "told of the end", within=NOTICE_SECONDS)
        swarm.until(lambda: all(user.served for user in users), "all back")
        recorder.event("all are back")
        swarm.rest(options.seconds * 2 / 3)
        closed = recorder.closes.total()
        swarm.stop()
        tell_returns(recorder, users, since=killed_at)
        recorder.figure("on the killed Studio", on_it)
        recorder.figure("closed besides", closed - on_it)
        recorder.figure("closed otherwise", closed - recorder.closes[RECONNECT])
