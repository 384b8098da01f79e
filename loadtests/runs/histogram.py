"""A histogram of seconds that can be merged: what a worker reports instead of percentiles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

from loadtests.common.distribution import SHARES
from loadtests.common.run import Latency

WIDTH: Final = 0.005
"""A bucket is half a percent wide, so a quantile is off by a quarter of a percent at most."""

LINEAR_SECONDS: Final = 1e-6
"""Below a microsecond buckets are of equal width, through zero to differences that are negative."""


class Histogram:
    """Seconds, counted by their size; the least and the greatest are exact."""

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self.least = math.inf
        self.most = -math.inf
        self._buckets: Counter[int] = Counter()
        for each in seconds:
            self.add(each)

    @property
    def count(self) -> int:
        """How many were added."""
        return self._buckets.total()

    def add(self, seconds: float) -> None:
        """Count one duration or difference."""
        self._buckets[round(math.asinh(seconds / LINEAR_SECONDS) / WIDTH)] += 1
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)

    def merge(self, other: Histogram) -> None:
        """Add everything another histogram has counted."""
        self._buckets.update(other._buckets)
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)

    def since(self, earlier: Histogram) -> Histogram:
        """Return what was added after an earlier copy of this histogram was made."""
        added = Histogram()
        added._buckets = self._buckets - earlier._buckets
        if added._buckets:
            added.least, added.most = self.least, self.most
        return added

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return, for each share, the value that this share of the values does not exceed (nearest rank).

        Args:
            shares: from 0 to 1, rising. The histogram must not be empty.
        """
        ordered = sorted(self._buckets.items())
        total, position, seen = self.count, 0, ordered[0][1]
        found = []
        for share in shares:
            rank = max(1, math.ceil(share * total))
            while seen < rank:
                position += 1
                seen += ordered[position][1]
            value = math.sinh(ordered[position][0] * WIDTH) * LINEAR_SECONDS
            if rank in {1, total}:
                value = self.least if rank == 1 else self.most
            found.append(min(max(value, self.least), self.most))
        return found

    def latency(self) -> Latency | None:
        """Return the distribution as run.json has it; None for nothing measured."""
        if not self.count:
            return None
        p50, p95, p99 = self.quantiles((0.5, 0.95, 0.99))
        quantiles = tuple(zip(SHARES, self.quantiles(SHARES), strict=True))
        return Latency(self.count, p50, p95, p99, self.most, quantiles)

    def as_message(self) -> list[Any]:
        """Return it as plain lists and numbers, for a message to another process."""
        return [self.least, self.most, list(self._buckets), list(self._buckets.values())]

    @classmethod
    def from_message(cls, message: Sequence[Any]) -> Self:
        """Return the histogram that `as_message` was made from."""
        made = cls()
        made.least, made.most, sizes, counts = message
        made._buckets = Counter(dict(zip(sizes, counts, strict=True)))
        return made
