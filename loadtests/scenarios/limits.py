"""limits: abusers beside well-behaved users; are the abusers held, and do the others notice?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import ClassVar, Final

from locust import User

from loadtests.scenarios.bystanders import (
    FIGURES,
    IN_PEACE,
    LATENCIES,
    measure_disturbed,
    ramp_heartbeats,
    tell_heartbeats,
)
from loadtests.scenarios.options import add_every, seconds, whole
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.system import Plan
from loadtests.users.abusive import AbusiveUser
from loadtests.users.heartbeat import HeartbeatUser
from loadtests.users.swarm import Swarm

BURST_SECONDS: Final = 2
"""A user may send so many seconds' worth of messages at once, where `--message-burst` does not say otherwise."""


class Limits(Scenario):
    """Abusers beside well-behaved users."""

    name = "limits"
    about = "Abusers take all they can get, beside well-behaved users: the limits hold them, the others notice nothing."
    teaches = """\
Half the time is peace. Then each abuser opens twice the connections a user may have, and sends far more on each than it may on all;
when one is closed on it, it begins again. `abuser's share` is how much of what it may send in that time, its burst and
what is held back included, came through to Studio.

A stack of its own has the limits that the options say. A gateway that runs elsewhere (--gateway) must have the same:
  MAX_CONNECTIONS_PER_USER         --user-connections
  MESSAGE_RATE_PER_USER            --message-rate
  MESSAGE_BURST_PER_USER           --message-burst
  MESSAGE_RATE_MAX_DELAY_SECONDS   --message-delay
and room for a crowd from one address: MAX_CONNECTIONS_PER_IP, CONNECT_RATE_PER_IP, CONNECT_BURST_PER_IP."""
    connections = 500
    seconds = 20
    measured = "after the abusers come"
    part = 2
    user_classes: ClassVar[tuple[type[User], ...]] = (HeartbeatUser, AbusiveUser)
    latencies = LATENCIES
    figures = (
        *FIGURES, IN_PEACE, "abuser's share", "abuser's connections, at most",
        "abuser's connections beyond the limit", "abusers' connections refused", "abusers' connections closed",
    )  # fmt: skip

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the limits and who breaks them."""
        add_every(parser)
        parser.add_argument(
            "--abusers", type=whole(1, 1000), default=5, metavar="N", help="how many (default: %(default)s)"
        )
        parser.add_argument(
            "--user-connections", type=whole(1, 1000), default=5, metavar="N",
            help="the gateway's MAX_CONNECTIONS_PER_USER (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--message-rate", type=whole(1, 100_000), default=50, metavar="N",
            help="the gateway's MESSAGE_RATE_PER_USER (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--message-burst", type=whole(1, 1_000_000), metavar="N",
            help=f"its MESSAGE_BURST_PER_USER (default: {BURST_SECONDS} x --message-rate)",
        )  # fmt: skip
        parser.add_argument(
            "--message-delay", type=seconds, default=2.0, metavar="SECONDS",
            help="its MESSAGE_RATE_MAX_DELAY_SECONDS: who is further ahead of the rate is closed (default: %(default)g)",
        )  # fmt: skip

    def plan(self, options: Namespace) -> Plan:
        """Return a stack that has these limits."""
        settings = {
            "MAX_CONNECTIONS_PER_USER": str(options.user_connections),
            "MESSAGE_RATE_PER_USER": str(options.message_rate),
            "MESSAGE_BURST_PER_USER": str(_burst(options)),
            "MESSAGE_RATE_MAX_DELAY_SECONDS": str(options.message_delay),
        }
        abusive = 2 * options.abusers * options.user_connections
        return Plan(options.connections + abusive, pinned=options.pin, settings=settings)

    def users(self, options: Namespace) -> int:
        """Return how many accounts there are."""
        return int(options.connections + options.abusers)

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Ramp, measure in peace, let the abusers come, measure."""
        recorder = swarm.recorder
        ramp_heartbeats(swarm, options.connections)
        abusers: list[AbusiveUser] = []

        def begin() -> None:
            recorder.event(f"{options.abusers} abusers come")
            abusers.extend(swarm.ramp(AbusiveUser, options.abusers))

        measure_disturbed(swarm, options.seconds, begin)
        answered = max(user.answered for user in abusers)
        for user in abusers:
            user.give_up()
        swarm.stop()
        tell_heartbeats(recorder)
        may = options.message_rate * (options.seconds / 2 + options.message_delay) + _burst(options)
        recorder.figure("abuser's share", answered / may, "share")
        recorder.figure("abuser's connections, at most", max(user.most_open for user in abusers))
        recorder.figure(
            "abuser's connections beyond the limit",
            max(0, max(user.most_open for user in abusers) - options.user_connections),
        )
        recorder.figure("abusers' connections refused", sum(user.refused for user in abusers))
        recorder.figure("abusers' connections closed", sum(user.closed for user in abusers))


def _burst(options: Namespace) -> int:
    return int(options.message_burst or BURST_SECONDS * options.message_rate)
