"""Many connections with a heartbeat a second each: what the gateway adds, and whether anything is lost.

Users connect at 250 a second, then everyone sends a heartbeat each second, at moments spread evenly over it.
A tenth of the users hold a second connection straight to a Studio and send the same message on both, one after the
other, in turn first: the difference of the two is the overhead, without what client, Studio and machine do to both.
A message's time ends when the kernel has its reply, not when a busy client gets to read it. If a message takes as long
without the gateway, the machine is too busy to judge the overhead (exit code 3).
"""

from typing import ClassVar

from loadtests.scenarios.director import Director
from loadtests.scenarios.heartbeats import Heartbeats, HeartbeatUser
from loadtests.scenarios.play import play

__all__ = ["HeartbeatUser"]


class Steady(Heartbeats):
    """Heartbeats and nothing else."""

    part = 1
    distributed = True
    needs: ClassVar = {
        "direct": (1, "--direct ws://…: overhead is the difference to a Studio asked directly")
    }

    def run(self, director: Director) -> None:
        """Connect, measure, leave."""
        director.connect(director.options.num_users)
        director.measure(director.seconds)
        director.leave()


SCENARIO = play(Steady())
