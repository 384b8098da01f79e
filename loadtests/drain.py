"""The gateway gets SIGTERM under load and a second one takes over: everyone moves, nothing is lost.

After a third of the time the gateway gets SIGTERM, as in a rolling update; from then on new connections go to a second
one with the same Studios. The first closes its users with 1001, over DRAIN_SECONDS (5 in a stack of its own), so that
they do not all come at once; each comes back after a random part of a second and resends what was not answered.
When all are back, it goes on for another third of the time. `closed otherwise` counts users that were not told 1001;
`drained after` is the end of the first gateway's process.
"""

import signal
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final

import psutil

from loadtests.scenarios.comeback import MARK, Comeback, ReturningUser
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.play import play
from loadtests.users.crowd import MOVE

__all__ = ["ReturningUser"]

GOING_AWAY: Final = "1001"
"""The close code the gateway sends when it shuts down (spec §1)."""

DRAIN_SECONDS: Final = 5
DONE_SECONDS: Final = 60.0


class Drain(Comeback):
    """A gateway is shut down."""

    measured = "before SIGTERM"
    gateways = 2
    needs: ClassVar = {
        "gateway": (2, "--gateway a second time: the gateway that takes over"),
        "gateway_pid": (1, "--gateway-pid PID, the process of the gateway that is shut down"),
    }
    figures: ClassVar = {"drained after": "s", "closed otherwise": ""}

    def gateway_settings(self, _: Namespace) -> Mapping[str, object]:
        """Let them take their time."""
        return {"DRAIN_SECONDS": DRAIN_SECONDS}

    def strike(self, director: Director) -> None:
        """Shut the first gateway down, and wait until it has ended."""
        director.event("the gateway gets SIGTERM")
        director.order(MOVE)
        director.order(MARK)
        try:
            first = psutil.Process(director.system.gateway_pids[0])
            first.send_signal(signal.SIGTERM)
        except psutil.NoSuchProcess:
            raise StoppedError("the gateway had ended before it got SIGTERM") from None
        director.figures["drained after"] = director.until(
            lambda _: _ended(first), "drained", within=DONE_SECONDS
        )
        director.event("its process has ended")

    def tell(self, director: Director, closes: Counter[str]) -> None:
        """Tell who was closed in another way."""
        director.figures["closed otherwise"] = closes.total() - closes[GOING_AWAY]


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


SCENARIO = play(Drain())
