"""The user that takes all it can get: more connections than it may have, and far more messages than it may send on each."""

from __future__ import annotations

import time
from typing import Final

import gevent
from locust import constant, task

from loadtests.runs.recorder import GATEWAY
from loadtests.users.conversation import Conversation, Document
from loadtests.users.outcomes import ClosedError, OperationError, RefusedError
from loadtests.users.swarm import LoadEnvironment
from loadtests.users.user import WAYS, WebSocketUser

TOO_MANY: Final = 429
BURST: Final = 20
EVERY_SECONDS: Final = 0.1
"""How many messages go in one write, and how often: on each connection, four times what a user may send on all."""

MESSAGE: Final = b'{"type":"heartbeat"}'


class AbusiveUser(WebSocketUser):
    """Opens twice the connections it may have, floods those it gets, and begins again when it is closed.

    Attributes:
        most_open: how many connections it had at a time, at most.
        refused: how often it was refused a connection with 429.
        closed: how often one was closed on it.
        answered: messages of its that reached Studio.
    """

    wait_time = constant(0.2)

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        self.most_open = 0
        self.refused = 0
        self.closed = 0
        self.answered = 0
        self._open: list[Conversation] = []
        self._given_up = False

    def give_up(self) -> None:
        """Let go of everything."""
        self._given_up = True
        for conversation in self._open:
            conversation.connection.abort()

    @task
    def abuse(self) -> None:
        """Take connections, and flood them."""
        if self._given_up:
            return
        for _ in range(2 * self.environment.options.user_connections):
            self._take_one()
        self.most_open = max(self.most_open, sum(conversation.open for conversation in self._open))
        floods = [gevent.spawn(self._flood, conversation) for conversation in self._open]
        gevent.joinall(floods)
        self._open.clear()

    def _take_one(self) -> None:
        name = f"abusive connect {WAYS[GATEWAY]}"
        began = time.perf_counter()
        failure: OperationError | None = None
        try:
            self._open.append(
                Conversation(*self.address(GATEWAY), on_end=lambda _: None, on_event=self._count)
            )
        except RefusedError as refusal:
            if refusal.status == TOO_MANY:
                self.refused += 1
            else:
                failure = refusal
        except OperationError as error:
            failure = error
        self.report(name, time.perf_counter() - began, failure)

    def _flood(self, conversation: Conversation) -> None:
        try:
            while True:
                conversation.connection.send(*[MESSAGE] * BURST)
                gevent.sleep(EVERY_SECONDS)
        except ClosedError:
            self.closed += not self._given_up

    def _count(self, _: Document, __: int) -> None:
        self.answered += 1
