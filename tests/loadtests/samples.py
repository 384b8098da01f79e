"""Distributions for tests, from exact values."""

from __future__ import annotations

from collections.abc import Iterable

from loadtests.common.distribution import quantile
from loadtests.common.run import Latency
from loadtests.runs.recorder import SHARES


def latency(seconds: Iterable[float]) -> Latency:
    """Return the distribution of some values, at least one."""
    ordered = sorted(seconds)
    p50, p95, p99 = (quantile(ordered, share) for share in (0.5, 0.95, 0.99))
    quantiles = tuple((share, quantile(ordered, share)) for share in SHARES)
    return Latency(len(ordered), p50, p95, p99, ordered[-1], quantiles)
