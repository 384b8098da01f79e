"""Abusers take all they can get, beside well-behaved users: the limits hold them, the others notice nothing.

Half the time is peace. Then each abuser opens twice the connections a user may have, and sends far more on each than it
may on all; when one is closed, it begins again. `abuser's share` is how much of what it may send in that time, its burst
and what is held back included, came through to Studio. The abusers are among the users of -u.

A stack of its own has the limits that the options say. A gateway that runs elsewhere (--gateway) must have the same:
  MAX_CONNECTIONS_PER_USER         --user-connections
  MESSAGE_RATE_PER_USER            --message-rate
  MESSAGE_BURST_PER_USER           --message-burst
  MESSAGE_RATE_MAX_DELAY_SECONDS   --message-delay
and room for a crowd from one address: MAX_CONNECTIONS_PER_IP, CONNECT_RATE_PER_IP, CONNECT_BURST_PER_IP.
"""

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Final

import gevent
from gevent.event import Event
from locust import User, constant, task
from locust.env import Environment

from loadtests.common.options import seconds, whole
from loadtests.common.run import GATEWAY
from loadtests.scenarios.bystanders import BEFORE, FIGURES, Bystanders
from loadtests.scenarios.director import Director
from loadtests.scenarios.play import play
from loadtests.scenarios.scenario import AddArgument
from loadtests.stack.system import Plan
from loadtests.users.conversation import Conversation, Document
from loadtests.users.crowd import GIVE_UP, MISBEHAVE
from loadtests.users.heartbeat import HeartbeatUser
from loadtests.users.outcomes import ClosedError, OperationError, RefusedError
from loadtests.users.user import WAYS, WebSocketUser

__all__ = ["AbusiveUser", "HeartbeatUser"]

BURST_SECONDS: Final = 2
"""A user may send so many seconds' worth of messages at once, unless --message-burst says otherwise."""

TOO_MANY: Final = 429

AT_ONCE: Final = 20
EVERY_SECONDS: Final = 0.1
"""How many messages go in one write, and how often: on each connection, four times what a user may send on all."""

MESSAGE: Final = b'{"type":"heartbeat"}'


class AbusiveUser(WebSocketUser):
    """Opens twice the connections it may have, floods those it gets, and begins again when it is closed.

    Attributes:
        most_open: the most connections it had at a time.
        refused: how often it was refused a connection with 429.
        closed: how often a connection was closed by the other side.
        answered: how many of its messages reached Studio.
    """

    wait_time = constant(0.2)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.most_open = 0
        self.refused = 0
        self.closed = 0
        self.answered = 0
        self._open: list[Conversation] = []
        self._begun = Event()
        self._given_up = False

    def obey(self, order: str) -> None:
        """Begin; or cut every connection, and end."""
        if order == MISBEHAVE:
            self._begun.set()
        elif order == GIVE_UP:
            self._given_up = True
            for conversation in self._open:
                conversation.connection.abort()

    @task
    def abuse(self) -> None:
        """Take connections, and flood them."""
        self._begun.wait()
        if self._given_up:
            return
        for _ in range(2 * self.options.user_connections):
            self._take_one()
        self.most_open = max(self.most_open, sum(conversation.open for conversation in self._open))
        gevent.joinall([gevent.spawn(self._flood, conversation) for conversation in self._open])
        self._open.clear()

    def _take_one(self) -> None:
        began = time.perf_counter()
        failure: OperationError | None = None
        try:
            self._open.append(
                Conversation(
                    *self.crowd.address(GATEWAY, self.account), on_end=lambda _: None, on_event=self._count
                )
            )
        except RefusedError as refusal:
            if refusal.status == TOO_MANY:
                self.refused += 1
            else:
                failure = refusal
        except OperationError as error:
            failure = error
        self.report(f"abusive connect {WAYS[GATEWAY]}", time.perf_counter() - began, failure)

    def _flood(self, conversation: Conversation) -> None:
        try:
            while True:
                conversation.connection.send(*[MESSAGE] * AT_ONCE)
                gevent.sleep(EVERY_SECONDS)
        except ClosedError:
            self.closed += not self._given_up

    def _count(self, _: Document, __: int) -> None:
        self.answered += 1


class Limits(Bystanders):
    """Abusers beside well-behaved users."""

    connections = 505
    seconds = 20
    measured = "after the abusers come"
    figures = (
        *FIGURES, BEFORE, "abuser's share", "abuser's connections, at most",
        "abuser's connections beyond the limit", "abusers' connections refused", "abusers' connections closed",
    )  # fmt: skip

    def add_options(self, add: AddArgument) -> None:
        """Add the limits and the number of abusers."""
        super().add_options(add)
        add("--abusers", type=whole(1, 1000), default=5, metavar="N", help="how many (default: 5)")
        add(
            "--user-connections", type=whole(1, 1000), default=5, metavar="N",
            help="the gateway's MAX_CONNECTIONS_PER_USER (default: 5)",
        )  # fmt: skip
        add(
            "--message-rate", type=whole(1, 100_000), default=50, metavar="N",
            help="the gateway's MESSAGE_RATE_PER_USER (default: 50)",
        )  # fmt: skip
        add(
            "--message-burst", type=whole(1, 1_000_000), metavar="N",
            help=f"its MESSAGE_BURST_PER_USER (default: {BURST_SECONDS} x --message-rate)",
        )  # fmt: skip
        add(
            "--message-delay", type=seconds, default=2.0, metavar="SECONDS",
            help="its MESSAGE_RATE_MAX_DELAY_SECONDS: a user further ahead of the rate is closed (default: 2)",
        )  # fmt: skip

    def prepare(self, options: Namespace) -> None:
        """Let some users be abusive."""
        AbusiveUser.fixed_count = options.abusers

    def plan(self, options: Namespace) -> Plan:
        """Return a stack that has these limits."""
        settings = {
            "MAX_CONNECTIONS_PER_USER": str(options.user_connections),
            "MESSAGE_RATE_PER_USER": str(options.message_rate),
            "MESSAGE_BURST_PER_USER": str(_burst(options)),
            "MESSAGE_RATE_MAX_DELAY_SECONDS": str(options.message_delay),
        }
        abusive = 2 * options.abusers * options.user_connections
        return Plan(options.num_users + abusive, pinned=options.pin, settings=settings)

    def totals(self, users: Sequence[User]) -> Mapping[str, float]:
        """Add up what happened to the abusers."""
        abusers = [user for user in users if isinstance(user, AbusiveUser)]
        return {
            "abusers refused": sum(user.refused for user in abusers),
            "abusers closed": sum(user.closed for user in abusers),
        }

    def most(self, users: Sequence[User]) -> Mapping[str, float]:
        """Return the most that an abuser got."""
        abusers = [user for user in users if isinstance(user, AbusiveUser)]
        return {
            "abuser answered": max((user.answered for user in abusers), default=0),
            "abuser most open": max((user.most_open for user in abusers), default=0),
        }

    def run(self, director: Director) -> None:
        """Connect, measure in peace, let the abusers begin, measure."""
        options = director.options
        director.connect(max(1, options.num_users - options.abusers))
        self.measure_disturbed(director, f"{options.abusers} abusers begin")
        answered = director.counted().most["abuser answered"]
        director.order(GIVE_UP)
        director.leave()
        counted = director.counted()
        self.tell_heartbeats(director)
        may = options.message_rate * (director.seconds / 2 + options.message_delay) + _burst(options)
        most_open = counted.most["abuser most open"]
        director.figure("abuser's share", answered / may, "share")
        director.figure("abuser's connections, at most", most_open)
        director.figure("abuser's connections beyond the limit", max(0, most_open - options.user_connections))
        director.figure("abusers' connections refused", counted.totals["abusers refused"])
        director.figure("abusers' connections closed", counted.totals["abusers closed"])


def _burst(options: Namespace) -> int:
    return int(options.message_burst or BURST_SECONDS * options.message_rate)


SCENARIO = Limits()
play(SCENARIO)
