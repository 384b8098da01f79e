"""When a token ends, whatever Auth sends (spec §2)."""

from __future__ import annotations

import json
import math

import pytest

from memmie_gateway.core.auth.lease import TokenEnds

NOW = 1_790_000_000.0  # in 2026
YEAR = 365.25 * 86_400


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        pytest.param("null", 0, id="null: no end"),
        pytest.param("0", 0, id="0: no end"),
        pytest.param("0.0", 0, id="0.0: no end"),
        pytest.param("1790003600", NOW + 3600, id="seconds"),
        pytest.param("1790003600.5", NOW + 3600.5, id="parts of a second"),
        pytest.param("1790003600000", NOW + 3600, id="milliseconds"),
        pytest.param("1789999999000", NOW - 1, id="milliseconds, a second ago"),
        pytest.param("1480000000000", NOW - 310_000_000, id="milliseconds, nine years ago"),
        pytest.param("2100000000000", NOW + 310_000_000, id="milliseconds, nine years ahead"),
        pytest.param("2110000000000", 2_110_000_000_000, id="a far date: milliseconds would be more than ten years ahead"),
        pytest.param("253402300799", 253_402_300_799, id="a far date: the year 9999"),
        pytest.param("9007199254740991", 9_007_199_254_740_991, id="a far date: the largest whole number of JavaScript"),
        pytest.param("1790003600000000", 1_790_003_600_000_000, id="a far date: microseconds are not guessed"),
        pytest.param("1e999", math.inf, id="never"),
        pytest.param("1" + "0" * 400, math.inf, id="never, as a whole number"),
        pytest.param("-1" + "0" * 400, -math.inf, id="long ago"),
        pytest.param("-1", -1, id="before 1970"),
        pytest.param("5", 5, id="in 1970"),
    ],
)  # fmt: skip
def test_numbers(expires: str, expected: float) -> None:
    assert TokenEnds().read(json.loads(expires), NOW) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("expires", ["1790003600", True, False, [], {}, math.nan, [1790003600]])
def test_what_is_not_a_number(expires: object) -> None:
    with pytest.raises(ValueError, match=r"^`expires` is not a number$"):
        TokenEnds().read(expires, NOW)


def test_milliseconds_are_told_once() -> None:
    ends, told = TokenEnds(), list[bool]()
    assert ends.read(NOW * 1000, NOW) == NOW
    ends.on_milliseconds = lambda: told.append(True)
    assert (ends.read(NOW * 1000 + 1000, NOW), told) == (NOW + 1, [])
    ends = TokenEnds()
    ends.on_milliseconds = lambda: told.append(True)
    for _ in range(3):
        ends.read(NOW, NOW)
    assert told == []
    for _ in range(3):
        ends.read(NOW * 1000, NOW)
    assert told == [True]


def test_the_leeway_is_part_of_the_lease() -> None:
    ends = TokenEnds(leeway=30)
    assert ends.read(NOW, NOW) == NOW + 30
    assert ends.read((NOW + 60) * 1000, NOW) == NOW + 90
    assert ends.read(None, NOW) == 0
    assert ends.read(0, NOW) == 0
    assert ends.read(-30, NOW) < 0
    assert repr(ends) == "<TokenEnds leeway=30>"
