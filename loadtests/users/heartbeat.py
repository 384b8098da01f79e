"""The well-behaved user: a heartbeat once a period, and for some the same straight to a Studio."""

from __future__ import annotations

from typing import Final

from locust import task
from locust.env import Environment

from loadtests.common.run import DIRECT, GATEWAY
from loadtests.users.conversation import Conversation
from loadtests.users.user import WebSocketUser

PAIRED_EVERY: Final = 10
"""One user in so many has a second connection, straight to a Studio."""


class HeartbeatUser(WebSocketUser):
    """Sends a heartbeat once a period; with two connections, the same on each, in turn first."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._through: Conversation | None = None
        self._straight: Conversation | None = None
        self._order = (GATEWAY, DIRECT)

    def on_start(self) -> None:
        """Connect."""
        self._through = self.connect()
        if self.crowd.system.studios and self.number % PAIRED_EVERY == 0:
            self._straight = self.connect(DIRECT)

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._through, self._straight)

    def wait_time(self) -> float:
        """Wait for this user's moment."""
        return self.until_due()

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
