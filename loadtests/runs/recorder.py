"""Everything a run counts: it listens to Locust's request events and is told of the rest.

Locust's own statistics round latencies to two digits, which hides what is added in a millisecond: here all are kept.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from loadtests.common.distribution import latency, quantile
from loadtests.common.run import Event, Failure, Figure, Latency, Request

Path = str
"""Which way a message went: `GATEWAY` or `DIRECT`; it is in the context of Locust's request event."""

GATEWAY: Path = "gateway"
DIRECT: Path = "direct"
OVERHEAD: Path = "overhead"


def _floats() -> array[float]:
    return array("d")


@dataclass(slots=True)
class _Kind:
    """What is counted of one kind of operation."""

    count: int = 0
    seconds: array[float] = field(default_factory=_floats)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class SecondCounts:
    """What one second of the run saw."""

    messages: int
    failures: int
    p50: float | None
    p99: float | None


class Recorder:
    """Counts a run.

    Attributes:
        connections: open through the gateway now.
        most_connections: open through it at once, at most; those of abusers are not among them.
        closes: ended connections by close code, those that the load itself has closed or cut excepted.
        answered: messages that were.
        awaited: of those whose latency counts, how many have neither an answer nor failed.
        unanswered: messages that never were, and will not be.
        studios: connections on each Studio at the height of the run.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.most_connections = 0
        self.closes: Counter[str] = Counter()
        self.answered = 0
        self.awaited = 0
        self.unanswered = 0
        self.studios: dict[str, int] = {}
        self._began = time.monotonic()
        self._measuring = False
        self._kinds: defaultdict[str, _Kind] = defaultdict(_Kind)
        self._latencies: defaultdict[Path, array[float]] = defaultdict(_floats)
        self._second: list[float] = []
        self._second_failures = 0
        self._events: list[Event] = []
        self._figures: dict[str, Figure] = {}

    @property
    def at(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._began

    @property
    def measuring(self) -> bool:
        """Whether latencies count now."""
        return self._measuring

    def sent(self) -> bool:
        """Count a message as on its way; return whether its latency is one that counts, however late its answer is."""
        self.awaited += self._measuring
        return self._measuring

    def settled(self, *, measured: bool) -> None:
        """Count it as answered, or as failed.

        Args:
            measured: what `sent` has said.
        """
        self.awaited -= measured

    def measure(self) -> None:
        """Let latencies count of what is sent from now on: what was before is the ramp."""
        self._latencies.clear()
        self._measuring = True

    def stop_measuring(self) -> None:
        """Let them count no more of what is sent from now on: what follows is the end."""
        self._measuring = False

    def request(
        self,
        *,
        name: str,
        response_time: float,
        exception: Exception | None = None,
        context: dict[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Count an operation: the listener of Locust's `request` event, whose times are milliseconds."""
        kind = self._kinds[name]
        kind.count += 1
        if exception is not None:
            kind.reasons[str(exception)] += 1
            self._second_failures += 1
            return
        seconds = response_time / 1000
        kind.seconds.append(seconds)
        path = (context or {}).get("path")
        if path is None:
            return
        if path == GATEWAY:
            self._second.append(seconds)
        if (context or {}).get("measured"):
            self._latencies[path].append(seconds)

    def opened(self) -> None:
        """Count a connection through the gateway that is open now."""
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)

    def ended(self) -> None:
        """Count the end of one of them."""
        self.connections -= 1

    def add_overhead(self, seconds: float) -> None:
        """Count what the gateway has added to one message, of those that count: a paired difference."""
        self._latencies[OVERHEAD].append(seconds)

    def event(self, what: str) -> None:
        """Note that something was done to the system."""
        self._events.append(Event(round(self.at, 3), what))

    def figure(self, name: str, value: float, unit: str = "") -> None:
        """Set a result of the scenario's own."""
        self._figures[name] = Figure(name, value, unit)

    def take_second(self) -> SecondCounts:
        """Return what was counted since the last call."""
        ordered = sorted(self._second)
        counts = SecondCounts(
            messages=len(ordered),
            failures=self._second_failures,
            p50=quantile(ordered, 0.5) if ordered else None,
            p99=quantile(ordered, 0.99) if ordered else None,
        )
        self._second.clear()
        self._second_failures = 0
        return counts

    def failed_to(self, *names: str) -> int:
        """Return how many operations of these kinds failed, for whatever reason."""
        return sum(failure.count for failure in self.failures() if failure.name in names)

    def failures(self) -> tuple[Failure, ...]:
        """Return what failed and why, the most frequent first."""
        found = [
            Failure(name, reason, count)
            for name, kind in self._kinds.items()
            for reason, count in kind.reasons.items()
        ]
        return tuple(sorted(found, key=lambda failure: -failure.count))

    def requests(self) -> tuple[Request, ...]:
        """Return the operations by kind."""
        return tuple(_request(name, kind) for name, kind in self._kinds.items())

    def latencies(self) -> dict[str, Latency]:
        """Return the distributions of the measured time, by path, and of the overhead."""
        found = {path: latency(self._latencies[path]) for path in (GATEWAY, DIRECT, OVERHEAD)}
        return {path: distribution for path, distribution in found.items() if distribution is not None}

    def events(self) -> tuple[Event, ...]:
        """Return what was done to the system."""
        return tuple(self._events)

    def figures(self) -> tuple[Figure, ...]:
        """Return the scenario's own results."""
        return tuple(self._figures.values())


def _request(name: str, kind: _Kind) -> Request:
    ordered = sorted(kind.seconds)
    return Request(
        name=name,
        count=kind.count,
        failures=kind.reasons.total(),
        p50=quantile(ordered, 0.5) if ordered else None,
        p99=quantile(ordered, 0.99) if ordered else None,
        max=ordered[-1] if ordered else None,
    )
