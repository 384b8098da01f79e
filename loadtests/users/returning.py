"""A user that comes back: whatever ends its connection, it connects again and resends what was not answered."""

from __future__ import annotations

import random
import time
from typing import Final

import gevent
from gevent.event import Event
from locust import constant, task
from locust.env import Environment

from loadtests.users.conversation import Conversation
from loadtests.users.crowd import CUT, MARK
from loadtests.users.user import WebSocketUser

JITTER_SECONDS: Final = 1.0
"""A client waits a random part of this before it comes back, so that a crowd does not come at one moment."""

MOST_PAUSE_SECONDS: Final = 5.0


class ReturningUser(WebSocketUser):
    """Sends a heartbeat once a period, and gives up neither its connection nor a message.

    Attributes:
        served: whether it is connected and was answered on this connection.
        away: seconds of each absence, from the end of a connection until the first reply on the next.
        back_at: when its last absence ended, in `time.monotonic` seconds.
        marked_at: when the scenario did what made users lose their connections.
        unanswered: whether its last message has no reply yet.
    """

    wait_time = constant(0)  # it waits in its task, where the end of its connection wakes it

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.served = False
        self.away: list[float] = []
        self.back_at = 0.0
        self.marked_at = 0.0
        self.unanswered = False
        self._conversation: Conversation | None = None
        self._ended = Event()
        self._ended_at: float | None = None
        self._messages = 0

    def on_stop(self) -> None:
        """Leave in order."""
        self.leave(self._conversation)

    def obey(self, order: str) -> None:
        """Note the moment, or lose the connection as with a network that fails."""
        if order == MARK:
            self.marked_at = time.monotonic()
        elif order == CUT and self._conversation is not None:
            self.ending = True
            self._conversation.connection.abort()

    @task
    def live(self) -> None:
        """Come back if need be; else wait for the next moment and send."""
        if self._conversation is None or not self._conversation.open:
            self._come_back()
            return
        if not self.unanswered:
            self._ended.wait(self.until_due())
        if self._conversation.open:
            self._send(self._conversation)

    def _come_back(self) -> None:
        first = self._ended_at is None
        pause = JITTER_SECONDS
        while True:
            if not first:
                gevent.sleep(random.uniform(0, pause))  # noqa: S311 - no secret
                pause = min(2 * pause, MOST_PAUSE_SECONDS)
            self._ended.clear()
            self._conversation = self.connect(operation="connect" if first else "reconnect")
            if self._conversation is not None:
                self._send(self._conversation)
                return
            first = False

    def _send(self, conversation: Conversation) -> None:
        if not self.unanswered:
            self._messages += 1
            self.unanswered = True
        seconds = self.ask(conversation, message_id=f"{self.number}-{self._messages}", again=True)
        if seconds is None:
            return
        self.unanswered = False
        if not self.served:
            self.served = True
            if self._ended_at is not None:
                self.back_at = time.monotonic()
                self.away.append(self.back_at - self._ended_at)
                self._ended_at = None

    def gateway_ended(self, code: str) -> None:
        """Note when, and wake up."""
        super().gateway_ended(code)
        self.served = False
        if self._ended_at is None:  # a user that is closed again before it was served is still away
            self._ended_at = time.monotonic()
        self._ended.set()
