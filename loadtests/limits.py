"""Some users send and connect far too much: the limits must stop these abusers, and the other users must not notice.

In the first half of the time, only the well-behaved users are active. In the second half, each abuser tries to open
twice as many connections as a user may have. On each connection it sends far more than it may send on all of them. When
a connection is closed, the abuser opens another. The number of users (-u) includes the abusers.

`abuser's share` is a quotient: the messages of an abuser that Studio answered, divided by the messages that the limits
allow in this time. The burst and the maximum delay count as allowed.

Without --gateway, the gateway is started with the limits in the options. With --gateway, it must have the same limits:
  MAX_CONNECTIONS_PER_USER         --user-connections
  MESSAGE_RATE_PER_USER            --message-rate
  MESSAGE_BURST_PER_USER           --message-burst
  MESSAGE_RATE_MAX_DELAY_SECONDS   --message-delay
It must also allow many connections from one address: MAX_CONNECTIONS_PER_IP, CONNECT_RATE_PER_IP, CONNECT_BURST_PER_IP.
"""

import time
from argparse import Namespace
from collections.abc import Mapping
from typing import ClassVar, Final

import gevent
from locust import constant, task
from locust.env import Environment

from loadtests.common.run import GATEWAY
from loadtests.scenarios.director import Director
from loadtests.scenarios.heartbeats import BEFORE, GIVE_UP, Heartbeats, HeartbeatUser, MisbehavingUser
from loadtests.scenarios.play import play
from loadtests.users.connection import ClosedError, Connection, Document, OperationError, RefusedError
from loadtests.users.user import WAYS

__all__ = ["AbusiveUser", "HeartbeatUser"]

BURST_SECONDS: Final = 2
"""A user may send so many seconds' worth of messages at once, unless --message-burst says otherwise."""

REFUSED: Final = "abusers' connections refused"
CLOSED: Final = "abusers' connections closed"
MOST_OPEN: Final = "abuser's connections, maximum"
"""What abusers count: 429s, connections that the other side closed, and the most that one of them had at a time."""

ANSWERED: Final = "abuser answered"
"""How many messages of one of them reached Studio, at most."""

AT_ONCE: Final = 20
EVERY_SECONDS: Final = 0.1
"""How many messages go in one write, and how often: on each connection, four times what a user may send on all."""

MESSAGE: Final = b'{"type":"heartbeat"}'


class AbusiveUser(MisbehavingUser):
    """Opens twice the connections it may have, floods those it gets, and begins again when it is closed."""

    wait_time = constant(0.2)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._answered = 0

    @task
    def abuse(self) -> None:
        """Take connections, and flood them."""
        self.begun.wait()
        if self.given_up:
            return
        for _ in range(2 * self.options.user_connections):
            self._take_one()
        self.recorder.greatest(MOST_OPEN, sum(connection.open for connection in self.connections))
        gevent.joinall([gevent.spawn(self._flood, connection) for connection in self.connections])
        self.connections.clear()

    def _take_one(self) -> None:
        began = time.perf_counter()
        failure: OperationError | None = None
        try:
            self.connections.append(
                Connection(*self.crowd.address(GATEWAY, self.account), on_event=self._count)
            )
        except OperationError as error:
            if isinstance(error, RefusedError) and error.status == 429:
                self.recorder.totals[REFUSED] += 1
            else:
                failure = error
        self.report(f"abusive connect {WAYS[GATEWAY]}", time.perf_counter() - began, failure)

    def _flood(self, connection: Connection) -> None:
        try:
            while True:
                connection.send(*[MESSAGE] * AT_ONCE)
                gevent.sleep(EVERY_SECONDS)
        except ClosedError:
            self.recorder.totals[CLOSED] += not self.given_up

    def _count(self, _: Document, __: int) -> None:
        self._answered += 1
        self.recorder.greatest(ANSWERED, self._answered)


class Limits(Heartbeats):
    """Abusers beside well-behaved users."""

    connections = 505
    seconds = 20
    measured = "after the abusers come"
    counts: ClassVar = {**Heartbeats.counts, REFUSED: "", CLOSED: "", MOST_OPEN: ""}
    figures: ClassVar = {**BEFORE, "abuser's share": "share", "abuser's connections beyond the limit": ""}

    def prepare(self, options: Namespace) -> None:
        """Let some users be abusive."""
        AbusiveUser.fixed_count = options.abusers

    def gateway_settings(self, options: Namespace) -> Mapping[str, object]:
        """Return these limits, and room for all that the abusers try."""
        room = 2 * (options.num_users + 2 * options.abusers * options.user_connections) + 100
        return {
            "MAX_CONNECTIONS": room,
            "MAX_CONNECTIONS_PER_IP": room,
            "MAX_CONNECTIONS_PER_USER": options.user_connections,
            "MESSAGE_RATE_PER_USER": options.message_rate,
            "MESSAGE_BURST_PER_USER": _burst(options),
            "MESSAGE_RATE_MAX_DELAY_SECONDS": options.message_delay,
        }

    def run(self, director: Director) -> None:
        """Connect, measure in peace, let the abusers begin, measure."""
        options, figures = director.options, director.figures
        director.connect(max(1, options.num_users - options.abusers))
        self.measure_disturbed(director, f"{options.abusers} abusers begin")
        answered = director.counted().most[ANSWERED]
        director.order(GIVE_UP)
        director.leave()
        may = options.message_rate * (director.seconds / 2 + options.message_delay) + _burst(options)
        figures["abuser's share"] = answered / may
        beyond = director.counted().most[MOST_OPEN] - options.user_connections
        figures["abuser's connections beyond the limit"] = max(0, beyond)


def _burst(options: Namespace) -> int:
    return int(options.message_burst or BURST_SECONDS * options.message_rate)


SCENARIO = play(Limits())
