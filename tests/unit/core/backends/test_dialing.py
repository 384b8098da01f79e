"""How long each dial for one client may take."""

from __future__ import annotations

import pytest

from memmie_gateway.core.backends.dialing import LEAST_SHARE, share


def test_the_only_backend_has_all_of_the_time() -> None:
    assert share(5, 0, 0) == 5


def test_each_but_the_last_has_half_of_what_is_left() -> None:
    spent, shares = 0.0, []
    for others in (2, 1, 0):
        shares.append(share(8, spent, others))
        spent += shares[-1]
    assert shares == [4, 2, 2]


def test_one_that_fails_quickly_leaves_its_time_to_the_next() -> None:
    assert share(8, 0.1, 1) == pytest.approx(3.95)


@pytest.mark.parametrize("spent", [5 * (1 - LEAST_SHARE) + 0.01, 5, 7])
def test_there_is_no_dial_without_time(spent: float) -> None:
    assert share(5, spent, 0) == 0
