"""The limit on log lines about one key."""

from __future__ import annotations

from memmie_gateway.core.line_quota import LineQuota


def test_the_first_lines_of_a_window_are_written_and_the_last_stands_for_the_others() -> None:
    quota: LineQuota[str] = LineQuota(2)
    assert [quota.admits("a", f"a{number}") for number in range(5)] == [True, True, False, False, False]
    assert quota.admits("b", "b0")
    assert repr(quota) == "<LineQuota keys=2>"
    assert quota.end_window() == [("a4", 3)]


def test_each_window_begins_anew() -> None:
    quota: LineQuota[str] = LineQuota(1)
    for _ in range(3):
        assert [quota.admits("a", "first"), quota.admits("a", "second")] == [True, False]
        assert quota.end_window() == [("second", 1)]
    assert quota.end_window() == []
    assert repr(quota) == "<LineQuota keys=0>"
