"""The well-behaved user: a heartbeat once a period, and for some the same straight to a Studio."""

from __future__ import annotations

from typing import Final

from locust import task

from loadtests.runs.recorder import DIRECT, GATEWAY
from loadtests.users.conversation import Conversation
from loadtests.users.swarm import LoadEnvironment
from loadtests.users.user import Pace, WebSocketUser

PAIRED_EVERY: Final = 10
"""One user in so many has a second connection, straight to a Studio."""


class HeartbeatUser(WebSocketUser):
    """Sends a heartbeat once a period; where it has two connections, the same on each, in turn first."""

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        self._pace = Pace(environment.options.every, self.number)
        self._through: Conversation | None = None
        self._straight: Conversation | None = None
        self._gateway_first = True

    def on_start(self) -> None:
        """Connect."""
        self._through = self.connect()
        if self.environment.system.studios and self.number % PAIRED_EVERY == 0:
            self._straight = self.connect(DIRECT)

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._through, self._straight)

    def wait_time(self) -> float:
        """Wait for this user's moment."""
        return self._pace.wait()

    @task
    def heartbeat(self) -> None:
        """Ask, and compare."""
        if self._through is None or not self._through.open:
            self._through = self.connect(operation="reconnect")
            return
        if self._straight is None:
            self.ask(self._through, "heartbeat")
            return
        asked = {GATEWAY: self._through, DIRECT: self._straight}
        measured = self.environment.recorder.measuring
        order = (GATEWAY, DIRECT) if self._gateway_first else (DIRECT, GATEWAY)
        took = {path: self.ask(asked[path], "heartbeat", path) for path in order}
        self._gateway_first = not self._gateway_first
        through, straight = took[GATEWAY], took[DIRECT]
        if measured and through is not None and straight is not None:
            self.environment.recorder.add_overhead(through - straight)
