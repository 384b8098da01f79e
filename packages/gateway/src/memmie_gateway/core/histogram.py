"""A histogram of durations, with plain integers as counters."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

LATENCY_BOUNDS: Final = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.5,
    1.0,
)
"""Upper bounds in seconds for the time a message spends in the gateway, from 50 µs to 1 s."""

CALL_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds for a call to another service, from 1 ms to 10 s."""


class Histogram:
    """Counts values by upper bound.

    Attributes:
        bounds: upper bounds, ascending.
        counts: number of values up to each bound and above the previous one; the last element counts larger values.
        total: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def __repr__(self) -> str:
        return f"<Histogram count={sum(self.counts)} total={self.total:.6f}>"

    def add(self, value: float) -> None:
        """Count a value, in seconds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
