"""The base of every scenario's users: it connects with its token, asks, and reports to Locust."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from gevent import GreenletExit
from locust import User
from locust.env import Environment

from loadtests.common.run import DIRECT, GATEWAY, Path
from loadtests.runs.recorder import ANSWERED, CLOSED, LOST
from loadtests.users.connection import Connection, Document, OperationError, UnexpectedReplyError, ignore
from loadtests.users.crowd import Crowd

WAYS: Final = {GATEWAY: "via gateway", DIRECT: "directly"}

GOLDEN: Final = (5**0.5 - 1) / 2
"""Its multiples, modulo 1, are spread evenly, however many there are."""


class WebSocketUser(User):
    """A user with a token; subclasses have the tasks."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.crowd: Crowd = environment.crowd  # type: ignore[attr-defined]  # set by the crowd
        self.options = self.crowd.options
        self.recorder = self.crowd.recorder
        self.number, self.account = self.crowd.add(self)
        self.beat = self.number  # users with the same beat send at the same moments
        self.ending = False  # whether it ends its connections itself; such ends are not counted

    def obey(self, order: str) -> None:
        """Do what a scenario tells all its users to do; see `Crowd`."""

    def totals(self) -> Mapping[str, float]:
        """Return numbers of this user that are added up over all users, by their names in `Recorder.totals`."""
        return {}

    def until_due(self) -> float:
        """Return the seconds until this user's next moment.

        Each user acts once every `--every` seconds at a moment of its own, so that a crowd does not beat in step.
        Moments that have passed are left out.
        """
        every = self.options.every
        moment = self.crowd.overall(self.beat) * GOLDEN % 1 * every
        return float(every - (time.monotonic() - moment) % every)

    def wait_time(self) -> float:
        """Wait for this user's moment."""
        return self.until_due()

    def connect(
        self,
        path: Path = GATEWAY,
        *,
        operation: str = "connect",
        on_event: Callable[[Document, int], None] | None = None,
        buffer_bytes: int | None = None,
    ) -> Connection | None:
        """Connect through the gateway or straight to a Studio; return None if that failed, which is reported."""
        name = f"{operation} {WAYS[path]}"
        began = time.perf_counter()
        try:
            connection = Connection(
                *self.crowd.address(path, self.account),
                # What fails on one that is only there for comparison says so itself.
                on_end=self.gateway_ended if path == GATEWAY else ignore,
                on_event=on_event or self._unasked,
                buffer_bytes=buffer_bytes,
            )
        except OperationError as error:
            self.report(name, time.perf_counter() - began, error)
            return None
        except GreenletExit:  # the run ends while this user still waits
            self.report(name, time.perf_counter() - began, OperationError("no answer"))
            raise
        if path == GATEWAY:
            self.recorder.opened()
            self.ending = False
        self.report(name, time.perf_counter() - began)
        return connection

    def ask(
        self,
        connection: Connection,
        path: Path = GATEWAY,
        *,
        message_id: str | None = None,
        again: bool = False,
    ) -> float | None:
        """Send a heartbeat and wait for its reply; return the seconds, or None if that failed, which is reported.

        `again` says that the message will be sent again after a failure, so that it is not lost yet.
        """
        name = f"heartbeat {WAYS[path]}"
        began = time.perf_counter()
        measured = self.recorder.sent()
        try:
            seconds, _ = connection.ask({"type": "heartbeat"}, reply_type="ack", message_id=message_id)
        except OperationError as error:
            self.recorder.totals[LOST] += not again
            self.report(name, time.perf_counter() - began, error)
            return None
        finally:
            self.recorder.settled(measured=measured)
        self.recorder.totals[ANSWERED] += 1
        self.report(name, seconds, path=path, measured=measured)
        return seconds

    def leave(self, *connections: Connection | None) -> None:
        """Close connections in order."""
        self.ending = True
        for connection in connections:
            if connection is not None:
                connection.close()

    def report(
        self,
        name: str,
        seconds: float,
        error: OperationError | None = None,
        *,
        path: Path | None = None,
        measured: bool = False,
    ) -> None:
        """Report an operation to Locust, and with it to the recorder.

        A message has the path it went, and is measured or not (see `Recorder.sent`); other operations have no path.
        """
        self.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=error,
            context={} if path is None else {"path": path, "measured": measured},
        )

    def gateway_ended(self, code: str) -> None:
        """Count the end of a connection through the gateway."""
        self.recorder.ended()
        if not self.ending:
            self.recorder.closes[code] += 1
            self.recorder.totals[CLOSED] += 1

    def _unasked(self, message: Document, _: int) -> None:
        """Count a reply nobody waits for, such as a duplicate, as a failure; Studio's own events are none."""
        if "id" in message or not isinstance(message.get("type"), str):
            self.report("no message", 0, UnexpectedReplyError(message.get("type")))
