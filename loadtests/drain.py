"""The gateway gets SIGTERM under load and a second gateway takes over: all users move, and nothing may be lost.

After a third of the time the first gateway gets SIGTERM, as in a rolling update. From then on, users connect to a
second gateway with the same Studios. The first gateway closes its connections with 1001. It spreads this over
DRAIN_SECONDS (5 without --gateway), so that not all users connect again at once. Each user waits for a random part of a
second, connects again and sends again what was not answered. When all users are back, the run goes on for another third
of the time.

`closed with another code` counts connections that were not closed with 1001. `drained after` is the time from SIGTERM
until the process of the first gateway ended.
"""

import signal
from argparse import Namespace
from collections.abc import Mapping
from typing import ClassVar, Final

import psutil

from loadtests.scenarios.comeback import ANOTHER_CODE, MARK, Comeback, ReturningUser
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.play import play
from loadtests.users.crowd import MOVE

__all__ = ["ReturningUser"]

DRAIN_SECONDS: Final = 5
DONE_SECONDS: Final = 60.0


class Drain(Comeback):
    """A gateway is shut down."""

    measured = "before SIGTERM"
    code = "1001"  # the gateway shuts down (spec §1)
    gateways = 2
    needs: ClassVar = {
        "gateway": (2, "--gateway a second time: the gateway that takes over"),
        "gateway_pid": (1, "--gateway-pid PID, the process of the gateway that is shut down"),
    }
    figures: ClassVar = {"drained after": "s", ANOTHER_CODE: ""}

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


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


SCENARIO = play(Drain())
