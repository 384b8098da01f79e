from __future__ import annotations

import pytest

from memmie_harness.dev.ports import Ports, plan_ports


@pytest.mark.parametrize(
    ("base", "studios", "expected"),
    [
        (8000, 2, Ports(gateway=8000, auth=8001, studios=(8010, 8011))),
        (8000, 1, Ports(gateway=8000, auth=8001, studios=(8010,))),
        (65524, 2, Ports(gateway=65524, auth=65525, studios=(65534, 65535))),
        (0, 3, Ports(gateway=0, auth=0, studios=(0, 0, 0))),
    ],
)
def test_ports_follow_from_the_base(base: int, studios: int, expected: Ports) -> None:
    assert plan_ports(base, studios) == expected


@pytest.mark.parametrize(
    ("base", "studios", "message"),
    [
        (-1, 2, "--port-base is -1; with --studios 2 it must be from 0 to 65524, and 0 means any free ports"),
        (65525, 2, "--port-base is 65525; with --studios 2 it must be"),
        (8000, 0, "--studios must be from 1 to 50, not 0"),
        (8000, 51, "--studios must be from 1 to 50, not 51"),
    ],
)
def test_numbers_out_of_range_are_refused(base: int, studios: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_ports(base, studios)
