"""The user of the soak: it keeps many messages on their way, and checks every reply."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Final

from gevent.event import Event
from locust import constant, task
from locust.exception import StopUser

from loadtests.runs.ledger import Ledger
from loadtests.runs.recorder import GATEWAY
from loadtests.users.conversation import Conversation, Document
from loadtests.users.outcomes import (
    NO_CLOSE_FRAME,
    ClosedError,
    OperationError,
    SilenceError,
    UnexpectedReplyError,
)
from loadtests.users.parcel import pack, unpack
from loadtests.users.swarm import LoadEnvironment
from loadtests.users.user import WAYS, WebSocketUser

WINDOW: Final = 64
"""Messages that may wait for their reply."""

STALL_SECONDS: Final = 20.0
"""So long without a reply, and what is missing is lost."""

REPLY: Final = "blob.updated"
NAME: Final = f"update_blob {WAYS[GATEWAY]}"


class SoakUser(WebSocketUser):
    """Updates its blob again and again. Studio counts the updates: that is the blob's version.

    Attributes:
        goal: how many messages it is to send.
        sent: how many it has sent; they carry 1, 2, 3 …
        upward: these numbers, in the order in which Studio has counted them.
        downward: Studio's count, in the order in which the replies came.
        damaged: replies whose text was not what was sent.
        done: whether it has nothing more to do.
    """

    wait_time = constant(0)

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        self.sent = 0
        self.upward = Ledger()
        self.downward = Ledger()
        self.damaged = 0
        self.done = False
        options = environment.options
        self.goal = options.messages // options.connections + (
            self.number < options.messages % options.connections
        )
        self._sent_at: deque[int] = deque()
        self._news = Event()

    @task
    def soak(self) -> None:
        """Do this user's part of the work."""
        conversation = self.connect(on_event=self._take)
        try:
            if conversation is not None:
                self._exchange(conversation)
        except OperationError as error:
            self.report(NAME, 0, error)
        finally:
            self.done = True
            self.leave(conversation)
        raise StopUser

    def gateway_ended(self, code: str) -> None:
        """Wake up, too."""
        super().gateway_ended(code)
        self._news.set()

    def _exchange(self, conversation: Conversation) -> None:
        blob = {"processor_id": "load", "schema_id": "load", "data": ""}
        _, created = conversation.ask({"type": "create_blob", "data": blob}, reply_type="blob.created")
        blob_id = created["data"]["id"]
        while self.sent < self.goal:
            self._wait_until_at_most(WINDOW // 2, conversation)
            numbers = range(self.sent + 1, self.sent + 1 + min(WINDOW // 2, self.goal - self.sent))
            self.sent += len(numbers)
            self._sent_at.extend([time.time_ns()] * len(numbers))
            conversation.connection.send(*(_update(blob_id, number) for number in numbers))
        self._wait_until_at_most(0, conversation)

    def _wait_until_at_most(self, waiting: int, conversation: Conversation) -> None:
        while len(self._sent_at) > waiting:
            self._news.clear()
            if not conversation.open:
                raise ClosedError(conversation.connection.code or NO_CLOSE_FRAME)
            if not self._news.wait(STALL_SECONDS):
                raise SilenceError(STALL_SECONDS)

    def _take(self, reply: Document, at: int) -> None:
        if reply.get("type") != REPLY:
            self.report(NAME, 0, UnexpectedReplyError(reply.get("type")))
            return
        blob = reply.get("data")
        text, version = (blob.get("data"), blob.get("version")) if isinstance(blob, dict) else (None, None)
        number = unpack(text) if isinstance(text, str) else None
        if number is None or not isinstance(version, int) or reply.get("id") != str(number):
            self.damaged += 1
            self._answered(at)
            return
        self.upward.take(number)
        self.downward.take(version - 1)
        self._answered(at)

    def _answered(self, at: int) -> None:
        if self._sent_at:
            self.report(NAME, (at - self._sent_at.popleft()) / 1e9, path=GATEWAY, measured=True)
        self._news.set()


def _update(blob_id: str, number: int) -> bytes:
    update = {"blob_id": blob_id, "data": pack(number)}
    return json.dumps({"id": str(number), "type": "update_blob", "data": update}).encode()
