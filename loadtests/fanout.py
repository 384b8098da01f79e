"""Each user has many connections, and one event a second that must reach all of them, once and in order.

Connections are shared out among accounts, --group to each. One connection of each account updates a blob once a second;
Studio sends the event to all others of that account. They must be on the same Studio for that: the gateway's part. The
latency is from sending the update until an event has arrived. A gateway that runs elsewhere must allow a user
so many connections (MAX_CONNECTIONS_PER_USER).
"""

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Final

from locust import User, task
from locust.env import Environment

from loadtests.common.options import whole
from loadtests.common.run import GATEWAY
from loadtests.scenarios.director import Director, StoppedError
from loadtests.scenarios.options import add_every
from loadtests.scenarios.play import play
from loadtests.scenarios.scenario import AddArgument, Scenario
from loadtests.users.conversation import BLOB_UPDATED, Conversation, Document
from loadtests.users.crowd import PUBLISH, STOP_PUBLISHING
from loadtests.users.outcomes import OperationError, UnexpectedReplyError
from loadtests.users.user import WAYS, WebSocketUser
from memmie_harness.numbered import Numbers

ARRIVE_SECONDS: Final = 10.0


class GroupUser(WebSocketUser):
    """One connection of an account; the first of each account publishes.

    Attributes:
        publishes: whether it is the first.
        published: how many events it has made.
        received: the numbers of the events it has got.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.account = self.number // self.options.group
        self.publishes = self.number % self.options.group == 0
        self.published = 0
        self.received = Numbers()
        self._publishing = False
        self._conversation: Conversation | None = None
        self._blob_id = ""

    def obey(self, order: str) -> None:
        """Publish, or stop publishing."""
        if order in {PUBLISH, STOP_PUBLISHING}:
            self._publishing = self.publishes and order == PUBLISH

    def on_start(self) -> None:
        """Connect; create the blob whose updates are the events."""
        self._conversation = self.connect(on_event=self._take)
        if self.publishes and self._conversation is not None:
            try:
                self._blob_id = self._conversation.create_blob({})
            except OperationError as error:
                self.report(f"create_blob {WAYS[GATEWAY]}", 0, error)

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._conversation)

    def wait_time(self) -> float:
        """Wait for the account's moment."""
        return self.until_due(self.account)

    @task
    def publish(self) -> None:
        """Make an event."""
        if not self._publishing or self._conversation is None:
            return
        self.published += 1
        data = {"number": self.published, "sent": time.time_ns(), "measured": self.recorder.measuring}
        update = {"type": "update_blob", "data": {"blob_id": self._blob_id, "data": data}}
        name = f"update_blob {WAYS[GATEWAY]}"
        try:
            seconds, _ = self._conversation.ask(update, reply_type=BLOB_UPDATED)
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
            number, sent, measured = int(data["number"]), int(data["sent"]), bool(data["measured"])
        except (LookupError, TypeError, ValueError):
            self.report(name, 0, UnexpectedReplyError(None))
            return
        self.received.take(number)
        self.report(name, (at - sent) / 1e9, path=GATEWAY, measured=measured)


class Fanout(Scenario):
    """Events to many connections."""

    seconds = 20
    distributed = True
    figures = ("events", "deliveries", "lost", "duplicated", "reordered")

    def add_options(self, add: AddArgument) -> None:
        """Add the size of a group, and the pace."""
        add_every(add)
        add(
            "--group", type=whole(2, 10_000), default=50, metavar="N",
            help="connections of an account (default: 50)",
        )  # fmt: skip

    def accounts(self, options: Namespace) -> int:
        """Return how many accounts there are."""
        return -(-int(options.num_users) // int(options.group))

    def totals(self, users: Sequence[User]) -> Mapping[str, float]:
        """Add up what was published and what arrived."""
        ours = [user for user in users if isinstance(user, GroupUser)]
        published = {user.account: user.published for user in ours if user.publishes}
        receivers = [user for user in ours if not user.publishes]
        return {
            "events": sum(published.values()),
            "deliveries": sum(user.received.arrived for user in receivers),
            "lost": sum(user.received.lost(published[user.account]) for user in receivers),
            "duplicated": sum(user.received.duplicated for user in receivers),
            "reordered": sum(user.received.reordered for user in receivers),
        }

    def run(self, director: Director) -> None:
        """Connect, publish, wait for what is on its way, count."""
        director.connect(director.options.num_users)
        director.order(PUBLISH)
        director.measure(director.seconds)
        director.order(STOP_PUBLISHING)
        try:
            director.until(
                lambda counted: not counted.totals["lost"], "all events have arrived", within=ARRIVE_SECONDS
            )
        except StoppedError:
            director.event("some events have not arrived")
        totals = dict(director.counted().totals)
        director.leave()
        for name in self.figures:
            director.figure(name, totals[name])


SCENARIO = Fanout()
play(SCENARIO)
