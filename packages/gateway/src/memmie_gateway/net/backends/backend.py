"""A backend: its URL, its health and its traffic."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from memmie_gateway.core.health import Health, HealthTracker
from memmie_gateway.core.histogram import LATENCY_BOUNDS, Histogram
from memmie_gateway.core.response import Response
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.url import ServiceUrl


class BackendUrl(ServiceUrl):
    """A backend's WebSocket URL."""

    __slots__ = ()

    @classmethod
    def parse(cls, url: str) -> BackendUrl:
        """Parse a URL.

        Raises:
            ValueError: the URL is not a `ws://` or `wss://` URL with a host, or has credentials, a fragment or characters
                that must be percent-encoded.
        """
        return cls.take_apart(url, plain="ws", secure="wss", example="ws://studio:8010/ws")

    @property
    def health_url(self) -> str:
        """The URL for health checks, `{url}/health` (spec §3)."""
        query = f"?{self.query}" if self.query else ""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.host_header}{self.path.rstrip('/')}/health{query}"


class Traffic(NamedTuple):
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
        return Traffic(*(now - before for now, before in zip(self, earlier, strict=True)))


NO_TRAFFIC: Final = Traffic()


class Backend:
    """One backend.

    Args:
        url: its WebSocket URL.
        tracker: computes its health from evidence.

    Attributes:
        where: its WebSocket URL.
        tracker: as given.
        probed: its health from health checks alone, which all gateways that can reach it see alike.
        passed_at: the time at which it last passed a health check, in seconds of a monotonic clock.
        ejected: whether it gets no new connections for a while, because it broke those of many users.
        returned: the time at which it was last taken back into use after it was unhealthy or ejected.
        connections: number of live sessions and of dials under way.
        failures: number of failures of any kind.
        traffic: the sum of the traffic of sessions that have left it.
        errors: number of errors by type, for the metrics.
        latency: times that messages spent in the gateway.
        on_doubt: called after passive evidence of a failure, to trigger a health check.
        on_change: called when its health has changed.
        on_checked: called after every health check.
        on_failure: called after passive evidence of a failure, with the backend.
    """

    def __init__(self, url: BackendUrl, tracker: HealthTracker) -> None:
        self.where = url
        self.tracker = tracker
        self.probed = tracker.fresh()
        self.passed_at = -math.inf
        self.ejected = False
        self.returned = -math.inf
        self._passes_since = time.monotonic()  # infinity if the last health check failed
        self._dial_failed = -math.inf  # when the last dial failed; minus infinity if it did not fail
        self.connections = 0
        self.failures = 0
        self.traffic = NO_TRAFFIC
        self.errors: Counter[str] = Counter()
        self.latency = Histogram(LATENCY_BOUNDS)
        self.on_doubt: Callable[[], None] = _nothing
        self.on_change: Callable[[Backend], None] = _nothing
        self.on_checked: Callable[[Backend], None] = _nothing
        self.on_failure: Callable[[Backend], None] = _nothing

    def __repr__(self) -> str:
        return f"<Backend {self.url} {self.tracker.state.value} connections={self.connections}>"

    @property
    def url(self) -> str:
        """The URL as text, which identifies the backend."""
        return self.where.url

    @property
    def available(self) -> bool:
        """Whether it may get connections, which means that it is not known to be unhealthy."""
        return self.tracker.state is not Health.UNHEALTHY

    @property
    def healthy(self) -> bool:
        """Whether it is known to be healthy."""
        return self.tracker.state is Health.HEALTHY

    @property
    def dead(self) -> bool:
        """Whether its health checks alone show that it is unhealthy. Otherwise an unhealthy backend is only in doubt."""
        return self.probed.state is Health.UNHEALTHY

    @property
    def good_for(self) -> float:
        """Seconds for which every health check has passed, and in which no dial failed after the last one that worked."""
        return time.monotonic() - max(self._passes_since, self._dial_failed)

    @property
    def back_for(self) -> float:
        """Seconds since it was last taken back into use."""
        return time.monotonic() - self.returned

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

    def passed(self) -> None:
        """Count a health check that passed."""
        self.passed_at = time.monotonic()
        if math.isinf(self._passes_since):
            self._passes_since = self.passed_at
        self.probed.good()
        self._note(changed=self.tracker.good())
        self.on_checked(self)

    def failed_check(self, reason: str) -> None:
        """Count a health check that failed, for a reason in words."""
        self.failures += 1
        self._passes_since = math.inf
        self.probed.bad(reason)
        self._note(changed=self.tracker.bad(reason))
        self.on_checked(self)

    def worked(self) -> None:
        """Count a dial that worked."""
        self._dial_failed = -math.inf
        self._note(changed=self.tracker.good())

    def failed(self, reason: str) -> None:
        """Count a dial that failed, for a reason in words."""
        self._dial_failed = time.monotonic()
        self._bad(reason)

    def broke(self, reason: str) -> None:
        """Count a broken connection. Until the next success, further ones are not further evidence.

        Two simultaneous disconnects must not mark a backend unhealthy.
        """
        if self.tracker.reason:
            self.failures += 1
            self.on_doubt()
        else:
            self._bad(reason)

    def _bad(self, reason: str) -> None:
        self.failures += 1
        self._note(changed=self.tracker.bad(reason))
        self.on_failure(self)
        self.on_doubt()

    def _note(self, *, changed: bool) -> None:
        if changed:
            self.on_change(self)


class BackendLink(NamedTuple):
    """An open connection to a backend that has accepted an upgrade.

    Attributes:
        backend: the backend.
        handover: the connection, and the bytes received after the 101.
        response: the 101.
    """

    backend: Backend
    handover: Handover
    response: Response


def _nothing(*_: object) -> None:
    """Do nothing; the default of the callbacks."""
