"""Quantiles of measured values."""

from __future__ import annotations


def quantile(ordered: list[float], share: float) -> float:
    """Return the least of some rising values, at least one, that `share` (0 to 1) of them do not exceed (nearest rank)."""
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, min(rank, len(ordered)) - 1)]
