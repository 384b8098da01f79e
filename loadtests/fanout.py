"""Each account has many connections: one event a second must reach all of them, once and in order.

Each account has --group connections. One of them updates a blob once a second. Studio sends the event to all other
connections of the account. This works only if the gateway connects all of them to the same Studio. The latency is the
time from sending the update until an event has arrived.

A gateway that runs elsewhere must allow a user that many connections (MAX_CONNECTIONS_PER_USER).
"""

import time
from argparse import Namespace
from collections.abc import Mapping
from typing import ClassVar, Final

from locust import task
from locust.env import Environment

from loadtests.common.run import GATEWAY
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.play import play
from loadtests.scenarios.scenario import Scenario
from loadtests.users.connection import (
    BLOB_UPDATED,
    Connection,
    Document,
    OperationError,
    UnexpectedReplyError,
)
from loadtests.users.user import WAYS, WebSocketUser
from memmie_harness.numbers import Numbers

ARRIVE_SECONDS: Final = 10.0


class GroupUser(WebSocketUser):
    """One connection of an account; the first of each account publishes during the measured time."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.account = self.beat = self.number // self.options.group
        self.first: GroupUser = self.crowd.users[self.account * self.options.group]
        self.published = 0
        self.received = Numbers()  # of the events
        self._connection: Connection | None = None
        self._blob_id = ""

    def totals(self) -> Mapping[str, float]:
        """Return what was published, or what arrived."""
        if self.first is self:
            return {"events": self.published}
        return {
            "deliveries": self.received.arrived,
            "lost": self.received.lost(self.first.published),
            "duplicated": self.received.duplicated,
            "reordered": self.received.reordered,
        }

    def on_start(self) -> None:
        """Connect; create the blob whose updates are the events."""
        self._connection = self.connect(on_event=self._take)
        if self.first is self and self._connection is not None:
            try:
                self._blob_id = self._connection.create_blob({})
            except OperationError as error:
                self.report(f"create_blob {WAYS[GATEWAY]}", 0, error)

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._connection)

    @task
    def publish(self) -> None:
        """Make an event."""
        if self.first is not self or self._connection is None or not self.recorder.measuring:
            return
        self.published += 1
        data = {"number": self.published, "sent": time.time_ns()}
        update = {"type": "update_blob", "data": {"blob_id": self._blob_id, "data": data}}
        name = f"update_blob {WAYS[GATEWAY]}"
        try:
            seconds, _ = self._connection.ask(update, reply_type=BLOB_UPDATED)
        except OperationError as error:
            self.report(name, 0, error)
        else:
            self.report(name, seconds)

    def _take(self, event: Document, at: int) -> None:
        kind, name = event.get("type"), f"event {WAYS[GATEWAY]}"
        if isinstance(kind, str) and kind != BLOB_UPDATED:
            return  # such as that the blob was created
        try:
            data = event["data"]["data"]
            number, sent = int(data["number"]), int(data["sent"])
        except (LookupError, TypeError, ValueError):
            self.report(name, 0, UnexpectedReplyError(None))
            return
        self.received.take(number)
        self.report(name, (at - sent) / 1e9, path=GATEWAY, measured=True)


class Fanout(Scenario):
    """Events to many connections."""

    seconds = 20
    distributed = True
    counts: ClassVar = dict.fromkeys(("events", "deliveries", "lost", "duplicated", "reordered"), "")

    def accounts(self, options: Namespace) -> int:
        """Return how many accounts there are."""
        return -(-int(options.num_users) // int(options.group))

    def run(self, director: Director) -> None:
        """Connect, publish, wait for what is on its way, count."""
        director.connect(director.options.num_users)
        director.measure(director.seconds)
        try:
            director.until(
                lambda counted: not counted.totals["lost"], "all events have arrived", within=ARRIVE_SECONDS
            )
        except StoppedError:
            director.event("some events have not arrived")
        director.leave()


SCENARIO = play(Fanout())
