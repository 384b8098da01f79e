"""Scenarios with well-behaved users, who must notice nothing of what others do."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar, Final

from gevent.event import Event
from locust import task
from locust.env import Environment

from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD
from loadtests.scenarios.director import Director
from loadtests.scenarios.scenario import Scenario
from loadtests.users.connection import Connection
from loadtests.users.user import WebSocketUser

PAIRED_EVERY: Final = 10
"""One user in so many has a second connection, straight to a Studio."""

MISBEHAVE: Final = "misbehave"
GIVE_UP: Final = "give up"
"""Orders for the other users."""

BEFORE: Final = {"gateway p99 before": "s"}
"""The figure that `measure_disturbed` sets."""


class HeartbeatUser(WebSocketUser):
    """Sends a heartbeat once a period; with two connections, the same on each, in turn first."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._through: Connection | None = None
        self._straight: Connection | None = None
        self._order = (GATEWAY, DIRECT)

    def on_start(self) -> None:
        """Connect."""
        self._through = self.connect()
        if self.crowd.system.studios and self.number % PAIRED_EVERY == 0:
            self._straight = self.connect(DIRECT)

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._through, self._straight)

    @task
    def heartbeat(self) -> None:
        """Ask, and compare."""
        if self._through is None or not self._through.open:
            self._through = self.connect(operation="reconnect")
            return
        if self._straight is None:
            self.ask(self._through)
            return
        asked = {GATEWAY: self._through, DIRECT: self._straight}
        measured = self.recorder.measuring
        took = {path: self.ask(asked[path], path) for path in self._order}
        self._order = self._order[::-1]
        through, straight = took[GATEWAY], took[DIRECT]
        if measured and through is not None and straight is not None:
            self.recorder.add_overhead(through - straight)


class MisbehavingUser(WebSocketUser):
    """Waits until it is told to misbehave, and cuts its connections when it is told to give up."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.begun = Event()  # set once it may misbehave, or has to give up
        self.given_up = False
        self.connections: list[Connection] = []

    def obey(self, order: str) -> None:
        """Begin, or give up."""
        self.given_up = order == GIVE_UP
        if order in {MISBEHAVE, GIVE_UP}:
            self.begun.set()
        if self.given_up:
            for connection in self.connections:
                connection.abort()


class Heartbeats(Scenario, ABC):
    """Heartbeat users, and perhaps others that misbehave in the second half."""

    part = 2
    latencies: ClassVar[tuple[str, ...]] = (GATEWAY, DIRECT, OVERHEAD)
    counts: ClassVar[Mapping[str, str]] = {"answered": "", "lost": "", "closed": ""}

    def measure_disturbed(self, director: Director, what: str) -> None:
        """Measure half the time in peace, and half of it while others misbehave; the latencies are of the second half."""
        director.measure(director.seconds / 2)
        before = director.counted().latencies().get(GATEWAY)
        if before is not None:
            director.figures.update(dict.fromkeys(BEFORE, before.p99))
        director.event(what)
        director.order(MISBEHAVE)
        director.measure(director.seconds / 2)
