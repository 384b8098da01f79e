"""Messages with a number and a checksum go both ways: none may be lost, duplicated, reordered or damaged.

Each user has a blob, and each of its messages updates this blob. An update has a number, a checksum and 16 bytes to
64 KiB of padding. Studio counts the updates of a blob. Its reply has the whole text and this count as `version`. The
numbers show what happened to messages from client to Studio. The versions show what happened to messages from Studio
to client.

A connection has up to 64 messages without a reply at a time. So most of a latency is the wait for earlier messages. The
run ends when all messages are answered.
"""

import json
import time
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Final

from gevent.event import Event
from locust import constant, task
from locust.env import Environment

from loadtests.common.run import GATEWAY
from loadtests.scenarios.director import Director
from loadtests.scenarios.play import play
from loadtests.scenarios.scenario import Scenario
from loadtests.users.connection import (
    BLOB_UPDATED,
    ClosedError,
    Connection,
    Document,
    OperationError,
    UnexpectedReplyError,
)
from loadtests.users.payload import number_of, numbered_text
from loadtests.users.user import WAYS, WebSocketUser
from memmie_harness.numbers import Numbers

WINDOW: Final = 64
"""Messages that may wait for their reply."""

STALL_SECONDS: Final = 20.0
"""After so long without a reply, what is missing is lost."""

MOST_SECONDS: Final = 3600.0

NAME: Final = f"update_blob {WAYS[GATEWAY]}"


class SoakUser(WebSocketUser):
    """Updates its blob again and again. Studio counts the updates: that is the blob's version."""

    wait_time = constant(0)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.recorder.measuring = True  # from the start
        self.upward = Numbers()  # of the messages, in the order in which Studio has counted them
        self.downward = Numbers()  # Studio's count, in the order in which the replies came
        self.damaged = 0  # replies whose text is not what was sent
        self.done = False
        messages, users = self.options.messages, self.crowd.everyone
        self.goal = messages // users + (self.crowd.overall(self.number) < messages % users)
        self._sent = 0
        self._sent_at: deque[int] = deque()
        self._news = Event()

    def totals(self) -> Mapping[str, float]:
        """Return what arrived and what did not."""
        return {
            "done": self.done,
            "messages each way": self.upward.arrived,
            "missing": self.upward.lost(self.goal),
            "missing counts": self.downward.lost(self.downward.highest),
            "duplicated": self.upward.duplicated,
            "reordered": self.upward.reordered,
            "damaged": self.damaged,
        }

    @task
    def soak(self) -> None:
        """Do this user's part of the work."""
        connection = self.connect(on_event=self._take)
        try:
            if connection is not None:
                self._exchange(connection)
        except OperationError as error:
            self.report(NAME, 0, error)
        finally:
            self.done = True
            self.leave(connection)
        Event().wait()  # Locust would start another user in the place of one that ends while others are still to come

    def gateway_ended(self, code: str) -> None:
        """Wake up, too."""
        super().gateway_ended(code)
        self._news.set()

    def _exchange(self, connection: Connection) -> None:
        blob_id = connection.create_blob()
        while self._sent < self.goal:
            self._wait_until_at_most(WINDOW // 2, connection)
            numbers = range(self._sent + 1, self._sent + 1 + min(WINDOW // 2, self.goal - self._sent))
            self._sent += len(numbers)
            self._sent_at.extend([time.time_ns()] * len(numbers))
            connection.send(*(_update(blob_id, number) for number in numbers))
        self._wait_until_at_most(0, connection)

    def _wait_until_at_most(self, waiting: int, connection: Connection) -> None:
        while len(self._sent_at) > waiting:
            self._news.clear()
            if not connection.open:
                raise ClosedError(connection.code)
            if not self._news.wait(STALL_SECONDS):
                raise OperationError(f"no reply within {STALL_SECONDS:g} s")

    def _take(self, reply: Document, at: int) -> None:
        if reply.get("type") != BLOB_UPDATED:
            self.report(NAME, 0, UnexpectedReplyError(reply.get("type")))
            return
        blob = reply.get("data")
        text, version = (blob.get("data"), blob.get("version")) if isinstance(blob, dict) else (None, None)
        number = number_of(text) if isinstance(text, str) else None
        if number is None or not isinstance(version, int) or reply.get("id") != str(number):
            self.damaged += 1
        else:
            self.upward.take(number)
            self.downward.take(version - 1)
        if self._sent_at:
            self.report(NAME, (at - self._sent_at.popleft()) / 1e9, path=GATEWAY, measured=True)
        self._news.set()


def _update(blob_id: str, number: int) -> bytes:
    update = {"blob_id": blob_id, "data": numbered_text(number)}
    return json.dumps({"id": str(number), "type": "update_blob", "data": update}).encode()


class Soak(Scenario):
    """Very many messages, each of them counted."""

    connections = 20
    timed = False
    pinned = False
    distributed = True
    counts: ClassVar = dict.fromkeys(("messages each way", "duplicated", "reordered", "damaged"), "")
    figures: ClassVar = dict.fromkeys(
        ("messages each way per second", "lost", "lost on the way up", "lost on the way down"), ""
    )

    def run(self, director: Director) -> None:
        """Wait, count."""
        director.ramp()
        users, figures = director.options.num_users, director.figures
        director.until(lambda counted: counted.totals["done"] >= users, "all answered", within=MOST_SECONDS)
        took = director.at
        director.event("all are answered")
        director.leave_at_once()  # they have closed their connections already
        totals = director.counted().totals
        figures["messages each way per second"] = totals["messages each way"] / took
        # A reply that is missing is a count that is missing, too, below the highest that came; a message that never
        # reached Studio was not counted. One that came twice, or was overtaken, either way, shows in the numbers.
        # A damaged one is not lost: it came.
        figures["lost"] = lost = max(0, totals["missing"] - totals["damaged"])
        downward = min(lost, max(0, totals["missing counts"] - totals["damaged"]))
        figures["lost on the way up"] = lost - downward
        figures["lost on the way down"] = downward


SCENARIO = play(Soak())
