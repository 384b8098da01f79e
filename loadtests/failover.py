"""A Studio is killed under load: its users must come back on another Studio, and nothing may be lost.

After a third of the time the first Studio is killed (SIGKILL). The gateway closes the connections to it with 1012,
which means "connect again". Each of these users waits for a random part of a second and connects again. Then it sends
again what was not answered. When all users are back, the run goes on for the rest of the time.

`closed on another Studio` counts closed connections that were not on the killed Studio. `closed with another code`
counts connections that were not closed with 1012.
"""

import os
import signal
from collections import Counter
from typing import ClassVar, Final
from urllib.parse import urlsplit

from loadtests.scenarios.comeback import ANOTHER_CODE, MARK, Comeback, ReturningUser
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.play import play
from loadtests.stack import studio_connections

__all__ = ["ReturningUser"]

NOTICE_SECONDS: Final = 15.0

ELSEWHERE: Final = "closed on another Studio"

NEEDED: Final = (
    "--direct ws://… and --studio-pid PID, the address and the process of the Studio that is to be killed"
)


class Failover(Comeback):
    """A Studio is killed."""

    measured = "before the kill"
    code = "1012"  # the Studio is gone (spec §1)
    rest = 2 / 3
    needs: ClassVar = {"direct": (1, NEEDED), "studio_pid": (1, NEEDED)}
    figures: ClassVar = {"on the killed Studio": "", ELSEWHERE: "", ANOTHER_CODE: ""}

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
        super().tell(director, closes)
        director.figures[ELSEWHERE] = closes.total() - director.figures["on the killed Studio"]


SCENARIO = play(Failover())
