"""A Studio is killed under load: its users come back on another, nobody else notices, nothing is lost.

After a third of the time the first Studio is killed (SIGKILL). The gateway closes its users with 1012, which means:
connect again. They do, after a random part of a second, and resend what was not answered; when all are back, it goes
on for the rest of the time. `closed besides` counts users that were closed without having been on that Studio;
`closed otherwise`, those that were not told 1012.
"""

import os
import signal
from collections import Counter
from typing import ClassVar, Final
from urllib.parse import urlsplit

from loadtests.scenarios.comeback import MARK, Comeback, ReturningUser
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.play import play
from loadtests.stack import studio_connections

__all__ = ["ReturningUser"]

RECONNECT: Final = "1012"
"""The close code the gateway sends if the Studio is gone (spec §1)."""

NOTICE_SECONDS: Final = 15.0

NEEDED: Final = (
    "--direct ws://… and --studio-pid PID, the address and the process of the Studio that is to be killed"
)


class Failover(Comeback):
    """A Studio is killed."""

    measured = "before the kill"
    rest = 2 / 3
    needs: ClassVar = {"direct": (1, NEEDED), "studio_pid": (1, NEEDED)}
    figures: ClassVar = {"on the killed Studio": "", "closed besides": "", "closed otherwise": ""}

    def strike(self, director: Director) -> None:
        """Kill the first Studio, and wait until its users were told."""
        system = director.system
        name = urlsplit(system.studios[0]).netloc
        on_it = studio_connections(system.gateways[0]).get(name, 0)
        director.figures["on the killed Studio"] = on_it
        director.event(f"Studio {name} with {on_it} connections is killed")
        director.order(MARK)
        try:
            os.kill(system.studio_pids[0], signal.SIGKILL)
        except ProcessLookupError:
            raise StoppedError(f"Studio {name} had ended before it was killed") from None
        director.until(
            lambda counted: counted.closes.total() >= on_it, "told of the end", within=NOTICE_SECONDS
        )

    def tell(self, director: Director, closes: Counter[str]) -> None:
        """Tell what else was closed."""
        director.figures["closed besides"] = closes.total() - director.figures["on the killed Studio"]
        director.figures["closed otherwise"] = closes.total() - closes[RECONNECT]


SCENARIO = play(Failover())
