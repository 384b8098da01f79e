"""Summing up measured seconds."""

from __future__ import annotations

from collections.abc import Iterable

from loadtests.common.distribution import quantile
from loadtests.traffic.results import Percentiles


def percentiles(seconds: Iterable[float]) -> Percentiles:
    """Return the distribution of at least one value."""
    ordered = sorted(seconds)
    return Percentiles(
        count=len(ordered),
        p50=quantile(ordered, 0.5),
        p90=quantile(ordered, 0.9),
        p99=quantile(ordered, 0.99),
        p999=quantile(ordered, 0.999),
        max=ordered[-1],
    )
