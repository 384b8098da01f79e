"""The user that every scenario's users are made from: it connects with its token, asks, and reports to Locust."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gevent import GreenletExit
from locust import User

from loadtests.runs.recorder import DIRECT, GATEWAY, Path
from loadtests.users.address import gateway_address, studio_address
from loadtests.users.conversation import Conversation, Document
from loadtests.users.outcomes import OperationError, UnexpectedReplyError, UnreachableError
from loadtests.users.swarm import LoadEnvironment

PROTOCOL: Final = "WS"
"""What Locust calls the type of a request."""

WAYS: Final = {GATEWAY: "via gateway", DIRECT: "directly"}

GOLDEN: Final = (5**0.5 - 1) / 2
"""Its multiples, modulo 1, are spread evenly however many there are."""


class WebSocketUser(User):
    """One user with a token; subclasses have the tasks.

    Attributes:
        number: the how-manieth user it is, from 0.
        account: whose token it has: the number of the account.
        ending: whether it ends its connections itself: such ends are not counted.
    """

    abstract = True
    environment: LoadEnvironment

    def __init__(self, environment: LoadEnvironment) -> None:
        super().__init__(environment)
        self.number = next(environment.numbers)
        self.account = self.number
        self.ending = False

    def connect(
        self,
        path: Path = GATEWAY,
        *,
        operation: str = "connect",
        on_event: Callable[[Document, int], None] | None = None,
        buffer_bytes: int | None = None,
    ) -> Conversation | None:
        """Connect through the gateway or straight to a Studio; None where that failed, which is reported."""
        ended = self.gateway_ended if path == GATEWAY else _ignore
        name = f"{operation} {WAYS[path]}"
        began = time.perf_counter()
        try:
            conversation = Conversation(
                *self.address(path),
                on_end=ended,
                on_event=on_event or self._unasked,
                buffer_bytes=buffer_bytes,
            )
        except OperationError as error:
            self.report(name, time.perf_counter() - began, error)
            return None
        except GreenletExit:  # the run ends while this one still waits
            self.report(name, time.perf_counter() - began, UnreachableError("no answer"))
            raise
        if path == GATEWAY:
            self.environment.recorder.opened()
            self.ending = False
        self.report(name, time.perf_counter() - began)
        return conversation

    def ask(
        self, conversation: Conversation, kind: str, path: Path = GATEWAY, *, reply_type: str = "ack"
    ) -> float | None:
        """Send a message and wait for its reply; return the seconds, or None where that failed, which is reported."""
        name = f"{kind} {WAYS[path]}"
        recorder = self.environment.recorder
        began = time.perf_counter()
        measured = recorder.sent()
        try:
            seconds, _ = conversation.ask({"type": kind}, reply_type=reply_type)
        except OperationError as error:
            recorder.unanswered += 1
            self.report(name, time.perf_counter() - began, error)
            return None
        finally:
            recorder.settled(measured=measured)
        recorder.answered += 1
        self.report(name, seconds, path=path, measured=measured)
        return seconds

    def _unasked(self, message: Document, _: int) -> None:
        """Count a reply that nobody waits for, one that came twice say, as a failure; events of Studio's own are none."""
        if "id" in message or not isinstance(message.get("type"), str):
            self.report("no message", 0, UnexpectedReplyError(message.get("type")))

    def leave(self, *conversations: Conversation | None) -> None:
        """Close in order."""
        self.ending = True
        for conversation in conversations:
            if conversation is not None:
                conversation.connection.close()

    def report(
        self,
        name: str,
        seconds: float,
        error: OperationError | None = None,
        *,
        path: Path | None = None,
        measured: bool = False,
    ) -> None:
        """Tell Locust of an operation.

        Args:
            name: its kind.
            seconds: how long it took.
            error: why it failed.
            path: the way of a message.
            measured: whether its latency is one that counts (see `Recorder.sent`).
        """
        self.environment.events.request.fire(  # type: ignore[no-untyped-call]  # Locust's hooks have no types
            request_type=PROTOCOL,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=error,
            context={} if path is None else {"path": path, "measured": measured},
        )

    def gateway_ended(self, code: str) -> None:
        """Count the end of a connection through the gateway."""
        self.environment.recorder.ended()
        if not self.ending:
            self.environment.recorder.closes[code] += 1

    def address(self, path: Path) -> tuple[str, dict[str, str]]:
        """Return where to connect to, and what the handshake carries: through the gateway, the token."""
        tokens, system = self.environment.tokens, self.environment.system
        if path == GATEWAY:
            return gateway_address(self.environment.gateway_url, tokens, self.account)
        return studio_address(system, tokens, self.account)


def _ignore(_: str) -> None:
    """The end of a connection that is only there for comparison is told by what fails on it."""


class Pace:
    """When a user acts: once a period, each user at another moment, so that a crowd does not beat in step.

    Args:
        period: seconds.
        number: the user's.
    """

    def __init__(self, period: float, number: int) -> None:
        self._period = period
        self._phase = (number * GOLDEN) % 1 * period

    def wait(self) -> float:
        """Return the seconds until the next moment; moments that have passed are left out."""
        return self._period - (time.monotonic() - self._phase) % self._period
