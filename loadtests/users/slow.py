"""The user that asks and does not read."""

from __future__ import annotations

import json
import math
import time
from typing import Final

import gevent
from gevent.event import Event
from locust import constant, task

from loadtests.users.conversation import Conversation
from loadtests.users.outcomes import OperationError
from loadtests.users.swarm import LoadEnvironment
from loadtests.users.user import WebSocketUser

BLOB_BYTES: Final = 128 << 10
"""What each update and each reply holds, at least."""

EVERY_SECONDS: Final = 0.1
BUFFER_BYTES: Final = 64 << 10
"""The kernel's receive buffer of the client: what it holds is not the gateway's to hold."""

STUCK_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 1.0


class SlowUser(WebSocketUser):
    """Updates its blob again and again, and leaves the replies where they are.

    Attributes:
        asked_bytes: how much the replies hold.
        disconnected: how often it was.
    """

    wait_time = constant(AGAIN_SECONDS)

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        self.asked_bytes = 0
        self.disconnected = 0
        self._sending_since = math.inf
        self._begun = Event()
        self._given_up = False
        self._conversation: Conversation | None = None

    @property
    def stuck(self) -> bool:
        """Whether it can send no more, as all buffers on the way to Studio are full."""
        return time.monotonic() - self._sending_since > STUCK_SECONDS

    def begin(self) -> None:
        """Read nothing from now on."""
        self._begun.set()

    def give_up(self) -> None:
        """Let go of the connection, and ask no more."""
        self._given_up = True
        self._begun.set()
        if self._conversation is not None:
            self._conversation.connection.abort()

    @task
    def ask_and_leave(self) -> None:
        """Ask until nothing more can be sent, and then until the connection is cut; that is how it must be."""
        if self._given_up:
            return
        self._conversation = self.connect(buffer_bytes=BUFFER_BYTES)
        if self._conversation is None:
            return
        self.ending = True
        connection = self._conversation.connection
        try:
            blob = {"processor_id": "load", "schema_id": "load", "data": ""}
            _, created = self._conversation.ask(
                {"type": "create_blob", "data": blob}, reply_type="blob.created"
            )
            update = {"blob_id": created["data"]["id"], "data": "x" * BLOB_BYTES}
            message = json.dumps({"type": "update_blob", "data": update}).encode()
            self._begun.wait()
            connection.stop_reading()
            while not self._given_up:
                self._sending_since = time.monotonic()
                connection.send(message)
                self._sending_since = math.inf
                self.asked_bytes += BLOB_BYTES
                gevent.sleep(EVERY_SECONDS)
        except OperationError:
            self.disconnected += not self._given_up
        finally:
            self._sending_since = math.inf
