"""Quantiles and distributions of measured seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from loadtests.common.run import Latency

SHARES: Final = (
    *(number / 1000 for number in range(1000)),
    *(0.999 + number / 10_000 for number in range(1, 10)),
    0.99999,
    1.0,
)
"""Every thousandth, and closer together at the slow end."""


def quantile(ordered: list[float], share: float) -> float:
    """Return the least of the measured values that `share` of them do not exceed (nearest rank).

    Args:
        ordered: at least one, rising.
        share: from 0 to 1.
    """
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, min(rank, len(ordered)) - 1)]


def latency(seconds: Iterable[float]) -> Latency | None:
    """Return the distribution; None without any value."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    return Latency(
        count=len(ordered),
        p50=quantile(ordered, 0.5),
        p95=quantile(ordered, 0.95),
        p99=quantile(ordered, 0.99),
        max=ordered[-1],
        quantiles=tuple((share, quantile(ordered, share)) for share in SHARES),
    )
