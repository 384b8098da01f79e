"""A histogram's buckets."""

from __future__ import annotations

from itertools import pairwise

import pytest

from memmie_gateway.core.histogram import CALL_BOUNDS, LATENCY_BOUNDS, Histogram


def test_values_fall_at_or_below_their_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.5, 99.0):
        histogram.add(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.total == 106.0
    assert repr(histogram) == "<Histogram count=6 total=106.000000>"


@pytest.mark.parametrize("bounds", [LATENCY_BOUNDS, CALL_BOUNDS])
def test_bounds_ascend(bounds: tuple[float, ...]) -> None:
    assert all(below < above for below, above in pairwise(bounds))
