"""fanout: one user's event goes to many connections of that user."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from loadtests.scenarios.options import add_every, whole
from loadtests.scenarios.scenario import Scenario
from loadtests.users.fanout import GroupUser
from loadtests.users.swarm import Swarm, SwarmError

ARRIVE_SECONDS: Final = 10.0


class Fanout(Scenario):
    """Events to many connections."""

    name = "fanout"
    about = "Each user has many connections, and one event a second that must reach all of them, once and in order."
    teaches = """\
Connections are shared out among users, --group to each. One connection of each user updates a blob once a second;
Studio sends the event to all others of that user. They must be on the same Studio for that: the gateway's part. The
latency is from the sending of the update until an event has arrived. A gateway that runs elsewhere must allow a user
so many connections (MAX_CONNECTIONS_PER_USER)."""
    seconds = 20
    user_classes = (GroupUser,)
    figures = ("events", "deliveries", "lost", "duplicated", "reordered")

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the size of a group, and the pace."""
        add_every(parser)
        parser.add_argument(
            "--group", type=whole(2, 10_000), default=50, metavar="N",
            help="connections of a user (default: %(default)s)",
        )  # fmt: skip

    def users(self, options: Namespace) -> int:
        """Return how many accounts there are."""
        return -(-int(options.connections) // int(options.group))

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Ramp, publish, wait for what is on its way, count."""
        recorder = swarm.recorder
        users = swarm.ramp(GroupUser, options.connections)
        swarm.until(lambda: recorder.connections == options.connections, "all connected")
        recorder.event(f"{options.connections} connections are open")
        swarm.settle()
        publishers = {user.account: user for user in users if user.publishes}
        receivers = [user for user in users if not user.publishes]
        for user in publishers.values():
            user.publishing = True
        swarm.measure(options.seconds)
        for user in publishers.values():
            user.publishing = False

        def lost() -> int:
            return sum(user.received.lost(publishers[user.account].published) for user in receivers)

        try:
            swarm.until(lambda: lost() == 0, "all events have arrived", within=ARRIVE_SECONDS)
        except SwarmError:
            recorder.event("some events have not arrived")
        recorder.unanswered = lost()
        swarm.stop()
        recorder.figure("events", sum(user.published for user in publishers.values()))
        recorder.figure("deliveries", sum(user.received.arrived for user in receivers))
        recorder.figure("lost", recorder.unanswered)
        recorder.figure("duplicated", sum(user.received.duplicated for user in receivers))
        recorder.figure("reordered", sum(user.received.reordered for user in receivers))
