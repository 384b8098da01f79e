"""Scenarios that break something and wait for the users to come back."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final

import gevent
from gevent.event import Event
from locust import constant, task
from locust.env import Environment

from loadtests.common.run import GATEWAY
from loadtests.scenarios.director import Director
from loadtests.scenarios.scenario import Scenario
from loadtests.users.connection import Connection
from loadtests.users.user import WAYS, WebSocketUser

JITTER_SECONDS: Final = 1.0
"""A client waits a random part of this before it comes back, so that a crowd does not come at one moment."""

MOST_PAUSE_SECONDS: Final = 5.0

ANOTHER_CODE: Final = "closed with another code"

MARK: Final = "mark the moment"
CUT: Final = "cut the connection"
"""Orders for the users."""

CONNECTING: Final = tuple(f"{operation} {WAYS[GATEWAY]}" for operation in ("connect", "reconnect"))
"""Operations that a gateway refuses with a status, or by hanging up."""


class ReturningUser(WebSocketUser):
    """Comes back whatever ends its connection, and sends a heartbeat once a period until it is answered."""

    wait_time = constant(0)  # it waits in its task, where the end of its connection wakes it

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.served = False  # whether it is connected and was answered on this connection
        self.unanswered = False  # whether its last message has no reply yet
        self.absences = 0  # each from the end of a connection until the first reply on the next
        self.marked_at = 0.0  # when the scenario made users lose their connections; 0 before
        self._connection: Connection | None = None
        self._ended = Event()
        self._ended_at: float | None = None
        self._messages = 0

    def totals(self) -> Mapping[str, float]:
        """Return whether it is served, how often it was away, and whether a message has no reply."""
        return {"served": self.served, "were away": self.absences, "lost": self.unanswered}

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._connection)

    def obey(self, order: str) -> None:
        """Note the moment, or lose the connection as with a network that fails."""
        if order == MARK:
            self.marked_at = time.monotonic()
        elif order == CUT and self._connection is not None:
            self.ending = True
            self._connection.abort()

    @task
    def live(self) -> None:
        """Come back if need be; else wait for the next moment and send."""
        if self._connection is None or not self._connection.open:
            self._come_back()
            return
        if not self.unanswered:
            self._ended.wait(self.until_due())
        if self._connection.open:
            self._send(self._connection)

    def _come_back(self) -> None:
        first = self._ended_at is None
        pause = JITTER_SECONDS
        while True:
            if not first:
                gevent.sleep(random.uniform(0, pause))  # noqa: S311 - no secret
                pause = min(2 * pause, MOST_PAUSE_SECONDS)
            self._ended.clear()
            self._connection = self.connect(operation="connect" if first else "reconnect")
            if self._connection is not None:
                self._send(self._connection)
                return
            first = False

    def _send(self, connection: Connection) -> None:
        if not self.unanswered:
            self._messages += 1
            self.unanswered = True
        seconds = self.ask(connection, message_id=f"{self.number}-{self._messages}", again=True)
        if seconds is None:
            return
        self.unanswered = False
        self.served = True
        if self._ended_at is not None:
            now = time.monotonic()
            self.absences += 1
            self.recorder.greatest("longest away", now - self._ended_at)
            if self.marked_at:
                self.recorder.greatest("back after", now - self.marked_at)
            self._ended_at = None

    def gateway_ended(self, code: str) -> None:
        """Note when, and wake up."""
        super().gateway_ended(code)
        self.served = False
        if self._ended_at is None:  # a user that is closed again before it was served is still away
            self._ended_at = time.monotonic()
        self._ended.set()


class Comeback(Scenario, ABC):
    """Users that come back."""

    seconds = 30
    part = 3
    code: ClassVar[str] = ""  # the close code that users get, if the scenario closes them in order
    rest: ClassVar[float] = 1 / 3  # how long they go on when all are back, as a share of the time
    counts: ClassVar[Mapping[str, str]] = {
        "were away": "", "back after": "s", "longest away": "s", "refused": "", "answered": "", "lost": "",
    }  # fmt: skip

    def run(self, director: Director) -> None:
        """Connect, measure, break something, wait until everyone is back."""
        users = director.options.num_users
        director.connect(users, "served")
        director.measure(director.seconds / self.part)
        self.strike(director)
        director.until(lambda counted: counted.totals["served"] >= users, "all back")
        director.event("all are back")
        gevent.sleep(director.seconds * self.rest)
        closes = director.counted().closes.copy()  # without the load's own
        director.leave()
        refused = director.counted().failures(*CONNECTING)
        director.figures["refused"] = sum(failure.count for failure in refused)
        self.tell(director, closes)

    @abstractmethod
    def strike(self, director: Director) -> None:
        """Break something, and note how."""

    def tell(self, director: Director, closes: Counter[str]) -> None:
        """Set the figures of the scenario's own, by the connections that were closed."""
        director.figures[ANOTHER_CODE] = closes.total() - closes[self.code]
