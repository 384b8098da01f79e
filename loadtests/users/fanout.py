"""The user of a group: several connections of one account, of which one publishes and all others receive."""

from __future__ import annotations

import time

from locust import task

from loadtests.runs.ledger import Ledger
from loadtests.runs.recorder import GATEWAY
from loadtests.users.conversation import Conversation, Document
from loadtests.users.outcomes import OperationError, UnexpectedReplyError
from loadtests.users.swarm import LoadEnvironment
from loadtests.users.user import WAYS, Pace, WebSocketUser

EVENT = "blob.updated"


class GroupUser(WebSocketUser):
    """One connection of a group; the first of each group publishes.

    Attributes:
        publishes: whether it is the one.
        published: how many events it has made.
        publishing: whether it is to make more.
        received: the numbers of the events it has got.
    """

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        group = environment.options.group
        self.account = self.number // group
        self.publishes = self.number % group == 0
        self.published = 0
        self.publishing = False
        self.received = Ledger()
        self._pace = Pace(environment.options.every, self.account)
        self._conversation: Conversation | None = None
        self._blob_id = ""

    def on_start(self) -> None:
        """Connect; make the blob whose updates are the events."""
        self._conversation = self.connect(on_event=self._take)
        if self.publishes and self._conversation is not None:
            blob = {"processor_id": "load", "schema_id": "load", "data": {}}
            try:
                _, created = self._conversation.ask(
                    {"type": "create_blob", "data": blob}, reply_type="blob.created"
                )
            except OperationError as error:
                self.report(f"create_blob {WAYS[GATEWAY]}", 0, error)
            else:
                self._blob_id = created["data"]["id"]

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._conversation)

    def wait_time(self) -> float:
        """Wait for the group's moment."""
        return self._pace.wait()

    @task
    def publish(self) -> None:
        """Make an event, where this is the one that does."""
        if not self.publishing or self._conversation is None:
            return
        self.published += 1
        data = {
            "number": self.published,
            "sent": time.time_ns(),
            "measured": self.environment.recorder.measuring,
        }
        name = f"update_blob {WAYS[GATEWAY]}"
        try:
            seconds, _ = self._conversation.ask(
                {"type": "update_blob", "data": {"blob_id": self._blob_id, "data": data}}, reply_type=EVENT
            )
        except OperationError as error:
            self.report(name, 0, error)
        else:
            self.report(name, seconds)

    def _take(self, event: Document, at: int) -> None:
        kind, name = event.get("type"), f"event {WAYS[GATEWAY]}"
        if isinstance(kind, str) and kind != EVENT:
            return  # that the blob was created, say
        try:
            data = event["data"]["data"]
            number, sent, measured = int(data["number"]), int(data["sent"]), bool(data["measured"])
        except (LookupError, TypeError, ValueError):
            self.report(name, 0, UnexpectedReplyError(None))
            return
        self.received.take(number)
        self.report(name, (at - sent) / 1e9, path=GATEWAY, measured=measured)
