"""Outliers: who breaks the connections of so many users that it is ejected, and what is no evidence."""

from __future__ import annotations

import pytest

from memmie_gateway.core.backends.outlier import (
    EJECTION_SECONDS,
    LONGEST_SECONDS,
    SHARE,
    USERS,
    WINDOW_SECONDS,
    OutlierTracker,
    may_eject,
)

HOLD = 5.0


def tracker(*, probed: bool = False) -> OutlierTracker:
    return OutlierTracker(hold=HOLD, probed=probed)


def users(count: int, prefix: str = "u") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def breaks(tracked: OutlierTracker, who: list[str], at: float = 0.0) -> None:
    for user in who:
        tracked.ended(user, at, at, broken=True)


def share(tracked: OutlierTracker, live: list[str], now: float = HOLD) -> float:
    return tracked.share(now, lambda: live)


def test_nothing_has_happened() -> None:
    tracked = tracker()
    assert (tracked.waiting, tracked.ejected, share(tracked, [])) == (False, False, 0)
    assert repr(tracked) == "<OutlierTracker broken=0 ejected=False>"


# The evidence.


@pytest.mark.parametrize(
    ("broken", "live", "expected"),
    [
        pytest.param(USERS - 1, 0, 0, id="too few users"),
        pytest.param(USERS, 0, 1, id="all of its users"),
        pytest.param(USERS, USERS, 0.5, id="half of its users"),
        pytest.param(USERS, 3 * USERS, 0.25, id="a quarter of its users"),
    ],
)
def test_the_share_of_its_users(broken: int, live: int, expected: float) -> None:
    tracked = tracker()
    breaks(tracked, users(broken))
    assert share(tracked, users(live, "live")) == expected


def test_a_user_counts_once() -> None:
    tracked = tracker()
    assert tracked.ended("u", 0, 0, broken=True)
    assert not any(tracked.ended("u", second / 10, second / 10, broken=True) for second in range(290))
    assert share(tracked, [], 29) == 0
    breaks(tracked, users(USERS - 1), 29)
    assert share(tracked, ["u"], 29 + HOLD - 0.1) == 0
    assert share(tracked, ["u"], 29 + HOLD) == 1, "a user who has come back is no other user"


def test_a_user_counts_again_after_the_window() -> None:
    tracked = tracker()
    breaks(tracked, users(USERS))
    later = HOLD + WINDOW_SECONDS + 1
    assert share(tracked, [], later) == 0
    assert not tracked.waiting
    breaks(tracked, users(USERS), later)
    assert share(tracked, [], later + HOLD) == 1


def test_users_who_left_well_count_as_users() -> None:
    tracked = tracker()
    for user in users(USERS, "well"):
        assert not tracked.ended(user, 0, 0, broken=False)
    breaks(tracked, users(USERS))
    assert share(tracked, []) == SHARE
    breaks(tracked, users(USERS), HOLD + WINDOW_SECONDS + 2)
    assert share(tracked, [], 2 * HOLD + WINDOW_SECONDS + 2) == 1, "as long as the evidence"


def test_a_user_who_left_twice_is_one_user() -> None:
    tracked = tracker()
    for at in (0.0, 1.0):
        for user in users(USERS, "well"):
            tracked.ended(user, at, at, broken=False)
    breaks(tracked, users(USERS))
    assert share(tracked, []) == SHARE


# What explains it.


@pytest.mark.parametrize("failed", [-HOLD, -1, 0, 1, HOLD])
def test_a_failure_at_about_the_same_time_explains_it(failed: float) -> None:
    tracked = tracker()
    if failed <= 0:
        tracked.failed(failed, failed)
    breaks(tracked, users(20))
    if failed > 0:
        tracked.failed(failed, failed)
    assert not tracked.waiting
    assert share(tracked, [], 2 * HOLD) == 0


def test_a_failure_at_another_time_does_not() -> None:
    tracked = tracker()
    tracked.failed(-2 * HOLD, -HOLD - 0.1)
    breaks(tracked, users(20))
    tracked.failed(HOLD + 0.1, HOLD + 0.1)
    assert share(tracked, [], 2 * HOLD) == 1


def test_a_check_that_fails_late_had_begun_at_that_time() -> None:
    tracked = tracker()
    breaks(tracked, users(20))
    tracked.failed(0, HOLD + 0.1)
    assert not tracked.waiting


def test_it_waits_for_a_check_that_began_later_and_passes() -> None:
    tracked = tracker(probed=True)
    tracked.passed(-1)
    breaks(tracked, users(20))
    assert share(tracked, [], 2 * HOLD) == 0
    tracked.passed(-0.5)
    assert share(tracked, [], 2 * HOLD) == 0
    tracked.passed(0.1)
    tracked.passed(0)  # the order of news does not matter
    assert share(tracked, [], 2 * HOLD) == 1


@pytest.mark.parametrize(
    ("lasting", "fresh", "expected"),
    [
        pytest.param(20, 0, 0, id="a restart"),
        pytest.param(20, 5, 0, id="a restart, and a few who came later"),
        pytest.param(10, 10, 1, id="half of them came later"),
        pytest.param(1, 19, 1, id="all but the first came later"),
    ],
)
def test_a_restart_breaks_only_what_began_before_it(lasting: int, fresh: int, expected: float) -> None:
    tracked = tracker()
    for user in users(lasting):
        tracked.ended(user, -60, 0, broken=True)
    for user in users(fresh, "later"):
        tracked.ended(user, 1, 2, broken=True)
    assert share(tracked, [], 2 + HOLD) == expected


def test_who_comes_back_and_is_broken_again_came_later() -> None:
    tracked = tracker()
    for began, ended in ((-60, 0), (1, 2)):
        for user in users(USERS):
            tracked.ended(user, began, ended, broken=True)
        assert share(tracked, [], ended + HOLD) == (began > 0)


# Ejections.


def test_an_ejection_ends() -> None:
    tracked = tracker()
    breaks(tracked, users(USERS))
    assert tracked.eject(10) == EJECTION_SECONDS
    assert (tracked.ejected, tracked.waiting) == (True, True)
    assert not tracked.ended("u", 11, 11, broken=True), "what breaks meanwhile is no news"
    assert not tracked.expired(9.9 + EJECTION_SECONDS)
    assert tracked.expired(10 + EJECTION_SECONDS)
    assert not tracked.expired(11 + EJECTION_SECONDS)
    assert (tracked.ejected, tracked.waiting) == (False, False)


def test_each_ejection_is_longer() -> None:
    tracked, now, lengths = tracker(), 0.0, []
    for _ in range(12):
        lengths.append(tracked.eject(now))
        now += lengths[-1] + 60
        assert tracked.expired(now)
    assert lengths == [min(EJECTION_SECONDS * n, LONGEST_SECONDS) for n in range(1, 13)]
    assert tracked.eject(now + LONGEST_SECONDS) == EJECTION_SECONDS, "after a long time without one"


def test_one_that_returns_from_being_unhealthy_starts_clean() -> None:
    tracked = tracker()
    tracked.ended("well", 0, 0, broken=False)
    tracked.eject(0)
    tracked.returned()
    assert (tracked.ejected, tracked.waiting) == (False, False)
    breaks(tracked, users(USERS), 1)
    assert share(tracked, [], 1 + HOLD) == 1
    assert tracked.eject(1 + HOLD) == EJECTION_SECONDS


@pytest.mark.parametrize(("backends", "most"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)])
def test_at_most_half_are_ejected_and_never_the_only_one(backends: int, most: int) -> None:
    assert [may_eject(ejected, backends) for ejected in range(6)] == [ejected < most for ejected in range(6)]
