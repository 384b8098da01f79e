"""A backend: its URL, its health and its traffic."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from memmie_gateway.core.backends.balancer import NEVER
from memmie_gateway.core.backends.health import REFUSED_SECONDS, Health, HealthTracker
from memmie_gateway.core.backends.outlier import OutlierTracker
from memmie_gateway.core.histogram import LATENCY_BOUNDS, Histogram
from memmie_gateway.core.http.query import means_user_id, without
from memmie_gateway.core.record import record
from memmie_gateway.core.websocket.acceptance import Acceptance, KnownAnswer
from memmie_gateway.net.handover import Held
from memmie_gateway.net.http1.url import ServiceUrl

_, _HEALTHY, _UNHEALTHY = Health  # looking up a member of an Enum is a function call (CPython 3.11)


class BackendUrl(ServiceUrl):
    """A backend's WebSocket URL."""

    __slots__ = ()

    @classmethod
    def parse(cls, url: str) -> BackendUrl:
        """Parse a URL.

        Raises:
            ValueError: the URL is not a `ws://` or `wss://` URL with a host, or has credentials, a fragment, characters
                that must be percent-encoded or a `user_id` in its query.
        """
        where = cls.take_apart(url, plain="ws", secure="wss", example="ws://studio:8010/ws")
        if without(where.query, lambda name, _: means_user_id(name)) != where.query:
            raise ValueError(
                "the query must not have a user_id, because the gateway adds that of each client"
            )
        return where


@record
class Traffic:
    """Counters of traffic: of one session while it is attached to a backend, or the sum of all that have left it.

    Attributes:
        messages_from_client: number of data messages.
        messages_from_backend: number of data messages.
        bytes_from_client: number of bytes, including frame headers.
        bytes_from_backend: number of bytes, including frame headers.
    """

    messages_from_client: int = 0
    messages_from_backend: int = 0
    bytes_from_client: int = 0
    bytes_from_backend: int = 0

    def plus(self, other: Traffic) -> Traffic:
        """Return the sum of both."""
        return Traffic(
            self.messages_from_client + other.messages_from_client,
            self.messages_from_backend + other.messages_from_backend,
            self.bytes_from_client + other.bytes_from_client,
            self.bytes_from_backend + other.bytes_from_backend,
        )

    def minus(self, earlier: Traffic) -> Traffic:
        """Return the difference to `earlier`, which must be counted from the same start."""
        if earlier is NO_TRAFFIC:
            return self
        return Traffic(
            self.messages_from_client - earlier.messages_from_client,
            self.messages_from_backend - earlier.messages_from_backend,
            self.bytes_from_client - earlier.bytes_from_client,
            self.bytes_from_backend - earlier.bytes_from_backend,
        )


NO_TRAFFIC: Final = Traffic()


class Backend:
    """One backend.

    Args:
        url: its WebSocket URL.
        tracker: computes its health from evidence.
        outlier: gathers the evidence that it breaks connections.
        clock: returns the time in seconds.

    Attributes:
        where: its WebSocket URL.
        url: the URL as text, which identifies the backend; it may contain secrets (see `name`).
        name: its URL for logs and metrics, without secrets.
        tracker: as given.
        outlier: as given.
        checked_at: the URL of its health checks, "" for none.
        passes: whether its last health check passed; None before the first.
        probed: its health from health checks alone, which all gateways that can reach it see alike.
        passed_at: the time at which it last passed a health check, in seconds, or `NEVER`.
        returned: the time at which it was last taken back into use after it was unhealthy or ejected, or `NEVER`.
        connections: number of live sessions and of dials under way.
        failures: number of failures of any kind.
        traffic: the sum of the traffic of sessions that have left it.
        errors: number of errors by type, for the metrics.
        known_answer: its last 101 that was parsed; None before the first.
        latency: times that messages spent in the gateway.
        on_doubt: called after passive evidence of a failure, to look its name up again and to trigger a health check.
        check_now: called to trigger a health check without evidence of a failure.
        on_change: called when its health has changed.
        on_checked: called after every health check.
        on_failure: called after passive evidence of a failure, with the backend.
    """

    def __init__(
        self,
        url: BackendUrl,
        tracker: HealthTracker,
        outlier: OutlierTracker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.where = url
        self.url = url.url
        self.name = url.shown
        self.tracker = tracker
        self.outlier = outlier or OutlierTracker(hold=0, probed=False)
        self.checked_at = ""
        self.passes: bool | None = None
        self.probed = tracker.fresh()
        self.passed_at = NEVER
        self.returned = NEVER
        self._was_away = False
        self._passes_since = math.inf  # infinity if the last health check failed, or there was none yet
        self._dial_failed = NEVER  # when the last dial failed; `NEVER` if it did not fail
        self._unanswered = ("", NEVER)  # the user of the last dial without an answer, and when it failed
        self.connections = 0
        self.failures = 0
        self.traffic = NO_TRAFFIC
        self.errors: Counter[str] = Counter()
        self.known_answer: KnownAnswer | None = None
        self.latency = Histogram(LATENCY_BOUNDS)
        self.on_doubt: Callable[[], None] = _nothing
        self.check_now: Callable[[], None] = _nothing
        self.on_change: Callable[[Backend], None] = _nothing
        self.on_checked: Callable[[Backend], None] = _nothing
        self.on_failure: Callable[[Backend], None] = _nothing

    def __repr__(self) -> str:
        return f"<Backend {self.name} {self.tracker.state.value} connections={self.connections}>"

    @property
    def available(self) -> bool:
        """Whether it may get connections, which means that it is not known to be unhealthy."""
        return self.tracker.state is not _UNHEALTHY

    @property
    def healthy(self) -> bool:
        """Whether it is known to be healthy."""
        return self.tracker.state is _HEALTHY

    @property
    def sound(self) -> bool:
        """Whether it is healthy, not dead and not ejected: in one property, because each connect asks this of every backend."""
        healthy = self.tracker.state is _HEALTHY and self.probed.state is not _UNHEALTHY
        return healthy and not self.outlier.ejected

    @property
    def dead(self) -> bool:
        """Whether its health checks alone show that it is unhealthy. Otherwise an unhealthy backend is only in doubt."""
        return self.probed.state is _UNHEALTHY

    @property
    def ejected(self) -> bool:
        """Whether it gets no new connections for a while, because it broke those of many users."""
        return self.outlier.ejected

    @property
    def good_for(self) -> float:
        """Seconds for which every health check has passed, and in which no dial failed after the last one that worked.

        A dial without an answer counts only if the one before, of another user, had none either.
        """
        return self._clock() - max(self._passes_since, self._dial_failed)

    @property
    def back_for(self) -> float:
        """Seconds since it was last taken back into use."""
        return self._clock() - self.returned

    # Its connections.

    def joined(self) -> None:
        """Count a session or a dial."""
        self.connections += 1

    def left(self, traffic: Traffic | None = None) -> None:
        """Stop counting a session or a dial, and add its traffic."""
        self.connections -= 1
        if traffic is not None:
            self.traffic = self.traffic.plus(traffic)

    # Evidence of its health.

    def worked(self) -> None:
        """Count a dial that the backend answered.

        If it is unhealthy, only a health check can show that it is healthy again. Otherwise its state would change
        at every dial if its health check fails while it accepts connections.
        """
        self._dial_failed = NEVER
        self._unanswered = ("", NEVER)
        if self.available or self.passes is None:
            self._note(changed=self.tracker.good())

    def failed(self, reason: str) -> None:
        """Count a dial that did not reach it, which is not a matter of one user.

        Further ones do not count until a health check has looked; without health checks, each one counts.
        """
        now = self._dial_failed = self._clock()
        self.outlier.failed(now, now)
        self._doubt(changed=self.tracker.doubt(reason) if self.checked_at else self.tracker.bad(reason))

    def unanswered(self, user_id: str, reason: str) -> None:
        """Count a dial that reached the backend, but got no answer; it counts like a broken connection."""
        other, at = self._unanswered
        now = self._clock()
        self._unanswered = (user_id, now)
        if other not in ("", user_id) and now - at < REFUSED_SECONDS:
            self._dial_failed = now
        self.broke(user_id, reason)

    def refused(self, user_id: str, reason: str) -> None:
        """Count a dial that was answered with an error, which is weak evidence."""
        self.failures += 1
        doubted_before = bool(self.tracker.reason)
        changed = self.tracker.refused(user_id, reason, self._clock())
        self._note(changed=changed)
        if changed or (self.tracker.reason and not doubted_before):
            self.on_doubt()

    def broke(self, user_id: str, reason: str) -> None:
        """Count a connection that broke; further ones do not count until a health check has looked.

        If no health check can look whether this is so only for this user, it is as weak as an answer with an error. A
        connection without a user is then no evidence at all, because one client can open any number of them.

        Args:
            user_id: the user; "" if the connection needed no token.
            reason: what happened in words.
        """
        if self.checked_at:
            self._doubt(changed=self.tracker.doubt(reason))
        elif user_id:
            self.refused(user_id, reason)
        else:
            self.failures += 1

    def _doubt(self, *, changed: bool) -> None:
        self.failures += 1
        self._note(changed=changed)
        self.on_failure(self)
        self.on_doubt()

    def passed(self, began: float) -> None:
        """Count a health check that passed; `began` is the time at which it began."""
        self.passes = True
        self.passed_at = self._clock()
        if self._passes_since == math.inf:
            self._passes_since = self.passed_at
        self.probed.good()
        self.tracker.looked()
        self.outlier.passed(began)
        self._note(changed=self.tracker.good())
        self.on_checked(self)

    def failed_check(self, reason: str, began: float) -> None:
        """Count a health check that failed; `began` is the time at which it began."""
        self.passes = False
        self.failures += 1
        self._passes_since = math.inf
        self.probed.bad(reason)
        self.tracker.looked()
        self.outlier.failed(began, self._clock())
        self._note(changed=self.tracker.bad(reason))
        self.on_checked(self)

    def _note(self, *, changed: bool) -> None:
        """Tell of a change of its health."""
        if not changed:
            return
        if self.healthy and self._was_away:
            self.outlier.returned()
            self.returned = self._clock()
        self._was_away = not self.healthy
        self.on_change(self)


@record
class BackendLink:
    """An open connection to a backend that has accepted an upgrade.

    Attributes:
        backend: the backend.
        connection: the connection, which holds the bytes received after the 101.
        accepted: what was read from the 101.
    """

    backend: Backend
    connection: Held
    accepted: Acceptance


def _nothing(*_: object) -> None:
    """Do nothing; the default of the callbacks."""
