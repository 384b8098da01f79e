"""What a process counts of a run: nothing but counters and greatest values, so that those of several workers add up.

Locust's own statistics round latencies to whole milliseconds below 100 ms, which hides what a gateway adds.
Here Locust's request events are counted in histograms with buckets half a percent wide.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtests.common.run import DIRECT, GATEWAY, OVERHEAD, Failure, Latency, Path, Request

WIDTH: Final = 0.005
"""A bucket's width, as a share of its value: a quantile is off by half of that at most."""

SHARES: Final = (
    *(number / 1000 for number in range(1000)),
    *(0.999 + number / 10_000 for number in range(1, 10)),
    0.99999,
    1.0,
)
"""Every thousandth, and closer together at the slow end."""

LINEAR_SECONDS: Final = 1e-6
"""Below a microsecond buckets are of equal width, through zero to differences that are negative."""

CONNECTIONS: Final = "connections"
MOST_CONNECTIONS: Final = "most connections"
ANSWERED: Final = "answered"
LOST: Final = "lost"
AWAITED: Final = "awaited"
CLOSED: Final = "closed"
"""Totals: connections open through the gateway now, and at most; messages with a reply; without one that anybody still waits for; and
those that count for the latencies and have neither a reply nor failed yet; connections in `closes`."""


class Histogram(Counter[int]):
    """Seconds, or differences in seconds, by the number of their bucket."""

    def add(self, seconds: float) -> None:
        """Count one value."""
        self[round(math.asinh(seconds / LINEAR_SECONDS) / WIDTH)] += 1

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return, for each of some rising shares (0 to 1), the value that so many do not exceed (nearest rank)."""
        ordered, total = sorted(self.items()), self.total()
        position, seen, found = 0, ordered[0][1], []
        for share in shares:
            while seen < math.ceil(share * total):
                position += 1
                seen += ordered[position][1]
            found.append(math.sinh(ordered[position][0] * WIDTH) * LINEAR_SECONDS)
        return found

    def latency(self) -> Latency | None:
        """Return the distribution as run.json has it; None for nothing measured."""
        if not self:
            return None
        p50, p95, p99, most = self.quantiles((0.5, 0.95, 0.99, 1.0))
        quantiles = tuple(zip(SHARES, self.quantiles(SHARES), strict=True))
        return Latency(self.total(), p50, p95, p99, most, quantiles)


class Recorder:
    """Counts what users do."""

    def __init__(self) -> None:
        self.totals: defaultdict[str, float] = defaultdict(float)  # added up over the workers
        self.most: defaultdict[str, float] = defaultdict(float)  # of which the greatest of all workers counts
        self.closes: Counter[str] = Counter()  # by close code, without those that the load itself ended
        self.failed: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by operation and reason
        self.through = Histogram()  # of all messages through the gateway, measured or not
        self.measuring = False  # whether messages that are sent now count for the latencies
        self._succeeded: defaultdict[str, Histogram] = defaultdict(Histogram)
        self._latencies: defaultdict[Path, Histogram] = defaultdict(Histogram)

    def measure(self) -> None:
        """Let messages count for the latencies from now on; what was sent before is the ramp."""
        self._latencies.clear()
        self.measuring = True

    def sent(self) -> bool:
        """Count a message as sent; return whether it counts for the latencies, however late its reply is."""
        self.totals[AWAITED] += self.measuring
        return self.measuring

    def settled(self, *, measured: bool) -> None:
        """Count a message as answered or failed; `measured` is what `sent` returned for it."""
        self.totals[AWAITED] -= measured

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
            self.failed[name][str(exception)] += 1
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
        self.totals[CONNECTIONS] += 1
        self.totals[MOST_CONNECTIONS] = max(self.totals[CONNECTIONS], self.totals[MOST_CONNECTIONS])

    def ended(self) -> None:
        """Count the end of a connection through the gateway."""
        self.totals[CONNECTIONS] -= 1

    def greatest(self, name: str, value: float) -> None:
        """Note a number of which the greatest counts."""
        self.most[name] = max(value, self.most[name])

    def failures(self, *names: str) -> tuple[Failure, ...]:
        """Return what failed and why, the most frequent first; of these kinds of operations only, if any is named."""
        found = [
            Failure(name, reason, count)
            for name, reasons in self.failed.items()
            for reason, count in reasons.items()
            if not names or name in names
        ]
        return tuple(sorted(found, key=lambda failure: -failure.count))

    def requests(self) -> tuple[Request, ...]:
        """Return the operations by kind."""
        found = []
        for name in dict.fromkeys([*self._succeeded, *self.failed]):
            of, failed = self._succeeded[name], self.failed[name].total()
            times = of.quantiles((0.5, 0.99, 1.0)) if of else (None, None, None)
            found.append(Request(name, of.total() + failed, failed, *times))
        return tuple(found)

    def latencies(self) -> dict[str, Latency]:
        """Return the distributions of the measured time, by path, and of the overhead."""
        found = {path: self._latencies[path].latency() for path in (GATEWAY, DIRECT, OVERHEAD)}
        return {path: distribution for path, distribution in found.items() if distribution is not None}

    def as_message(self) -> list[Any]:
        """Return everything counted as plain dictionaries, for another process."""
        groups = (self.failed, self._succeeded, self._latencies)
        plain = [{name: dict(each) for name, each in group.items()} for group in groups]
        return [dict(self.totals), dict(self.most), dict(self.closes), dict(self.through), *plain]

    def merge(self, message: Sequence[Any]) -> None:
        """Add what another recorder has counted, as its `as_message` returned it."""
        totals, most, closes, through, *groups = message
        for name, value in totals.items():
            self.totals[name] += value
        for name, value in most.items():
            self.greatest(name, value)
        self.closes.update(closes)
        self.through.update(through)
        for mine, theirs in zip((self.failed, self._succeeded, self._latencies), groups, strict=True):
            for name, counts in theirs.items():
                mine[name].update(counts)  # type: ignore[index]  # three mappings of counters
