"""One Studio as the gateway knows it: where it is, how it is, and what went through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from memmie_gateway.core.health import Health, HealthTracker
from memmie_gateway.core.histogram import LATENCY_BOUNDS, Histogram
from memmie_gateway.core.outcomes import Side
from memmie_gateway.core.response import Response
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.url import ServiceUrl


class BackendUrl(ServiceUrl):
    """A Studio's WebSocket URL."""

    __slots__ = ()

    @classmethod
    def parse(cls, url: str) -> BackendUrl:
        """Take a URL apart.

        Raises:
            ValueError: it is not a `ws://` or `wss://` URL with a host, or it has credentials or a fragment.
        """
        return cls.take_apart(url, plain="ws", secure="wss", example="ws://studio:8010/ws")

    @property
    def health_url(self) -> str:
        """Where its health is asked: `{url}/health` (spec §3)."""
        query = f"?{self.query}" if self.query else ""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.host_header}{self.path.rstrip('/')}/health{query}"


@dataclass(slots=True)
class Totals:
    """What went through a Studio in sessions that are over."""

    messages: dict[Side, int] = field(default_factory=lambda: {Side.CLIENT: 0, Side.BACKEND: 0})
    received: dict[Side, int] = field(default_factory=lambda: {Side.CLIENT: 0, Side.BACKEND: 0})

    def add(self, side: Side, scanner: FrameScanner) -> None:
        """Add what `side` sent in one session."""
        self.messages[side] += scanner.messages
        self.received[side] += scanner.received


class BackendLink(NamedTuple):
    """An open connection to a backend that has accepted an upgrade.

    Attributes:
        backend: the backend.
        handover: the connection, with what came behind the 101.
        response: the backend's 101.
    """

    backend: Backend
    handover: Handover
    response: Response


class Backend:
    """One backend.

    Args:
        url: where it is.
        tracker: judges its health.

    Attributes:
        connections: live sessions and dials under way.
        failures: of any kind, so far.
        totals: of the sessions that are over.
        errors: errors by type, for the metrics.
        latency: how long messages spent inside the gateway.
        on_doubt: called when passive evidence is bad: the prober looks at once.
        on_change: called when its health has changed.
    """

    def __init__(self, url: BackendUrl, tracker: HealthTracker) -> None:
        self.where = url
        self.tracker = tracker
        self.connections = 0
        self.failures = 0
        self.totals = Totals()
        self.errors: Counter[str] = Counter()
        self.latency = Histogram(LATENCY_BOUNDS)
        self.on_doubt: Callable[[], None] = _nothing
        self.on_change: Callable[[Backend], None] = _nothing

    def __repr__(self) -> str:
        return f"<Studio {self.url} {self.tracker.state.value} connections={self.connections}>"

    @property
    def url(self) -> str:
        """Its URL, which names it."""
        return self.where.url

    @property
    def available(self) -> bool:
        """Whether connections may go to it: it is not known to be unhealthy."""
        return self.tracker.state is not Health.UNHEALTHY

    @property
    def healthy(self) -> bool:
        """Whether it is known to be healthy."""
        return self.tracker.state is Health.HEALTHY

    def worked(self) -> None:
        """Count a success of any kind."""
        if self.tracker.good():
            self.on_change(self)

    def failed(self, reason: str, *, doubt: bool = True) -> None:
        """Count a failure of any kind.

        Args:
            reason: what failed, in words.
            doubt: have it probed at once; False for a failed probe.
        """
        self.failures += 1
        if self.tracker.bad(reason):
            self.on_change(self)
        if doubt:
            self.on_doubt()

    def broke(self, reason: str) -> None:
        """Count a connection that broke: as one failure, however many break, until a probe has had a look.

        A Studio that throws out two clients at once must not pass for a dead one.
        """
        if self.tracker.reason:
            self.failures += 1
            self.on_doubt()
        else:
            self.failed(reason)


def _nothing(*_: object) -> None:
    """Stand in until somebody wants to know."""
