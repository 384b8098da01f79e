"""Many connections send a heartbeat each second: how much time does the gateway add, and is anything lost?

250 users connect each second. Then every user sends a heartbeat each second, and the heartbeats are spread evenly over
the second. One user in ten has a second connection straight to a Studio. It sends the same message on both connections,
one after the other, and a different one goes first each time. The overhead is the difference between the two times.
Delays of the client, the Studio and the machine affect both times, so they are not part of the overhead.

The time of a message ends when the kernel has its reply, even if a busy client reads the reply later. If the messages
straight to a Studio break the same threshold as the overhead, the machine is too busy. Then the overhead is not judged
(exit code 3).
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
        "direct": (1, "--direct ws://…: the overhead is the difference to a connection straight to a Studio")
    }

    def run(self, director: Director) -> None:
        """Connect, measure, leave."""
        director.connect(director.options.num_users)
        director.measure(director.seconds)
        director.leave()


SCENARIO = play(Steady())
