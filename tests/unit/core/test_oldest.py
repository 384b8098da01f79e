"""What is dropped of times in their order."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from memmie_gateway.core.oldest import drop_until


@pytest.mark.parametrize(("last", "dropped"), [(0.9, ""), (1, "a"), (2.5, "ab"), (3, "abc"), (9, "abc")])
def test_the_oldest_go_first_and_the_others_stay(last: float, dropped: str) -> None:
    times = OrderedDict(a=1.0, b=2.0, c=3.0)
    assert drop_until(times, last) == list(dropped)
    assert "".join(times) == "abc".removeprefix(dropped)


def test_nothing_is_dropped_of_nothing() -> None:
    assert drop_until(OrderedDict[str, float](), 1) == []
