"""What one process counts of a run, in a form that the reports of several workers can be merged in.

Locust's own statistics round latencies to whole milliseconds below 100 ms, which hides what a gateway adds: here
Locust's request events are counted in histograms.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Failure, Latency, Path, Request
from loadtests.runs.histogram import Histogram

_COUNTS: Final = ("connections", "most_connections", "answered", "awaited", "unanswered")
"""Attributes of a recorder that are added up over the workers."""


class Recorder:
    """Counts what the users of one process do, or of all processes once merged.

    Attributes:
        connections: open through the gateway now; those of abusers are not counted.
        most_connections: the most that were open at once.
        answered: messages with a reply.
        awaited: messages that count for the latencies, and have neither a reply nor failed yet.
        unanswered: messages without a reply that nobody waits for any more.
        closes: connections that ended, by close code, without those that the load itself ended.
        through: latencies of all messages through the gateway, measured or not.
        totals: numbers of the scenario's own that are added up over the workers.
        most: numbers of which the greatest counts.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.most_connections = 0
        self.answered = 0
        self.awaited = 0
        self.unanswered = 0
        self.closes: Counter[str] = Counter()
        self.through = Histogram()
        self.totals: defaultdict[str, float] = defaultdict(float)
        self.most: dict[str, float] = {}
        self._measuring = False
        self._succeeded: defaultdict[str, Histogram] = defaultdict(Histogram)
        self._failed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._latencies: defaultdict[Path, Histogram] = defaultdict(Histogram)

    @property
    def measuring(self) -> bool:
        """Whether messages that are sent now count for the latencies."""
        return self._measuring

    def measure(self) -> None:
        """Let messages count for the latencies from now on; what was sent before is the ramp."""
        self._latencies.clear()
        self._measuring = True

    def stop_measuring(self) -> None:
        """Let messages that are sent from now on not count for the latencies."""
        self._measuring = False

    def sent(self) -> bool:
        """Count a message as sent; return whether it counts for the latencies, however late its reply is."""
        self.awaited += self._measuring
        return self._measuring

    def settled(self, *, measured: bool) -> None:
        """Count a message as answered or failed.

        Args:
            measured: what `sent` returned for it.
        """
        self.awaited -= measured

    def request(
        self,
        *,
        name: str,
        response_time: float,
        exception: Exception | None = None,
        context: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Count an operation: a listener of Locust's `request` event, which has milliseconds."""
        if exception is not None:
            self._failed[name][str(exception)] += 1
            return
        seconds = response_time / 1000
        self._succeeded[name].add(seconds)
        path = (context or {}).get("path")
        if path == GATEWAY:
            self.through.add(seconds)
        if path and (context or {}).get("measured"):
            self._latencies[path].add(seconds)

    def add_overhead(self, seconds: float) -> None:
        """Count what the gateway added to one measured message: a paired difference."""
        self._latencies[OVERHEAD].add(seconds)

    def opened(self) -> None:
        """Count a connection through the gateway."""
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)

    def ended(self) -> None:
        """Count the end of a connection through the gateway."""
        self.connections -= 1

    def failures(self, *names: str) -> tuple[Failure, ...]:
        """Return what failed and why, the most frequent first; of these kinds of operations only, if any is named."""
        found = [
            Failure(name, reason, count)
            for name, reasons in self._failed.items()
            for reason, count in reasons.items()
            if not names or name in names
        ]
        return tuple(sorted(found, key=lambda failure: -failure.count))

    def failed(self, *names: str) -> int:
        """Return how many operations failed; of these kinds only, if any is named."""
        return sum(failure.count for failure in self.failures(*names))

    def requests(self) -> tuple[Request, ...]:
        """Return the operations by kind."""
        found = []
        for name in dict.fromkeys([*self._succeeded, *self._failed]):
            of, failed = self._succeeded[name], self._failed[name].total()
            times = of.quantiles((0.5, 0.99, 1.0)) if of.count else (None, None, None)
            found.append(Request(name, of.count + failed, failed, *times))
        return tuple(found)

    def latencies(self) -> dict[str, Latency]:
        """Return the distributions of the measured time, by path, and of the overhead."""
        found = {path: self._latencies[path].latency() for path in (GATEWAY, DIRECT, OVERHEAD)}
        return {path: distribution for path, distribution in found.items() if distribution is not None}

    def as_message(self) -> dict[str, Any]:
        """Return everything counted as plain values, for a message to another process."""
        return {
            "counts": {name: getattr(self, name) for name in _COUNTS},
            "closes": dict(self.closes),
            "through": self.through.as_message(),
            "totals": dict(self.totals),
            "most": self.most,
            "succeeded": {name: of.as_message() for name, of in self._succeeded.items()},
            "failed": {name: dict(reasons) for name, reasons in self._failed.items()},
            "latencies": {name: of.as_message() for name, of in self._latencies.items()},
        }

    @classmethod
    def merged(cls, messages: Iterable[Mapping[str, Any]]) -> Self:
        """Return one recorder of all that several have counted, from what `as_message` returned for each."""
        merged = cls()
        for message in messages:
            for name, count in message["counts"].items():
                setattr(merged, name, getattr(merged, name) + count)
            merged.closes.update(message["closes"])
            merged.through.merge(Histogram.from_message(message["through"]))
            for name, value in message["totals"].items():
                merged.totals[name] += value
            for name, value in message["most"].items():
                merged.most[name] = max(value, merged.most.get(name, value))
            for name, reasons in message["failed"].items():
                merged._failed[name].update(reasons)
            for mine, theirs in (
                (merged._succeeded, message["succeeded"]),
                (merged._latencies, message["latencies"]),
            ):
                for name, histogram in theirs.items():
                    mine[name].merge(Histogram.from_message(histogram))
        return merged
