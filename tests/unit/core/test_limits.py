"""Limits: slots, and rates against an exact model (spec §7, §8)."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.limits import Buckets, HeldSlots, Rate, SlotCounts, TokenBucket

# How many at once.


class Counted:
    """A slot that notes what is done with it."""

    def __init__(self) -> None:
        self.done = ""

    def release(self) -> None:
        self.done += "-"

    def retake(self) -> None:
        self.done += "+"


@pytest.mark.parametrize(
    ("calls", "done", "held"),
    [
        ("", "", True),
        ("release", "-", False),
        ("resume", "", True),
        ("release resume", "-", False),
        ("release retake", "-+", True),
        ("suspend", "-", False),
        ("suspend resume resume", "-+", True),
        ("suspend suspend resume", "-+", True),
        ("suspend release resume", "--", False),
        ("release suspend resume", "-", False),
    ],
)
def test_slots_that_are_held_together(calls: str, done: str, held: bool) -> None:  # noqa: FBT001 - a column of the table
    one, other = Counted(), Counted()
    slots = HeldSlots(one, other)
    for call in calls.split():
        getattr(slots, call)()
    assert (one.done, other.done, slots.held) == (done, done, held)
    assert repr(slots) == "<HeldSlots 2>"


def test_slots_are_counted_by_key_and_given_back() -> None:
    counts = SlotCounts()
    assert [counts.acquire("a", 2) for _ in range(3)] == [True, True, False]
    assert counts.acquire("b", 2)
    assert [counts.held(key) for key in "abc"] == [2, 1, 0]
    counts.release("a")
    assert [counts.acquire("a", 2) for _ in range(2)] == [True, False]


def test_no_limit_still_counts() -> None:
    counts = SlotCounts()
    assert all(counts.acquire("a", 0) for _ in range(1000))
    assert counts.held("a") == 1000


def test_the_limit_may_change_from_one_call_to_the_next() -> None:
    counts = SlotCounts()
    assert [counts.acquire("a", limit) for limit in (1, 1, 2, 1, 0, 3, 4)] == [
        True, False, True, False, True, False, True,
    ]  # fmt: skip
    assert counts.held("a") == 4


def test_what_was_not_taken_cannot_be_given_back() -> None:
    counts = SlotCounts()
    counts.acquire("a", 1)
    counts.release("a")
    with pytest.raises(KeyError):
        counts.release("a")


def test_what_was_refused_is_not_counted() -> None:
    counts = SlotCounts()
    assert [counts.acquire("a", 1) for _ in range(5)] == [True, False, False, False, False]
    counts.release("a")
    assert counts.held("a") == 0


def test_keys_that_hold_nothing_are_forgotten() -> None:
    counts = SlotCounts()
    for number in range(1000):
        counts.acquire(str(number), 1)
        counts.release(str(number))
    counts.acquire("a", 1)
    assert not counts.acquire("a", 1)
    assert repr(counts) == "<SlotCounts keys=1>"


# How many a second. Times and rates are eighths, so that floats are exact and can be held against fractions.

EIGHTHS = st.integers(0, 400).map(lambda eighths: eighths / 8)
RATES = st.sampled_from([0.5, 1.0, 2.0, 8.0])
BURSTS = st.integers(1, 10)


@settings(max_examples=100, deadline=None)
@given(rate=RATES, burst=BURSTS, gaps=st.lists(EIGHTHS, max_size=40))
def test_take_is_an_exact_token_bucket(rate: float, burst: int, gaps: list[float]) -> None:
    bucket = TokenBucket(Rate(rate, burst), 0.0)
    now, level = Fraction(0), Fraction(burst)
    for gap in gaps:
        now += Fraction(gap)
        level = min(Fraction(burst), level + Fraction(gap) * Fraction(rate))
        wait = Fraction(0) if level >= 1 else (1 - level) / Fraction(rate)
        level -= 1 if level >= 1 else 0
        assert wait == Fraction(bucket.take(float(now)))
        assert math.floor(level) == bucket.left


@settings(max_examples=100, deadline=None)
@given(
    rate=RATES,
    burst=BURSTS,
    chunks=st.lists(st.tuples(EIGHTHS, st.integers(1, 200)), min_size=1, max_size=30),
)
def test_overdrawn_and_settled_in_debt_the_rate_still_holds(
    rate: float, burst: int, chunks: list[tuple[float, int]]
) -> None:
    """Plays the data path: pay for what has come; in debt, wait as long as told, then take the next chunk."""
    bucket = TokenBucket(Rate(rate, burst), 0.0)
    now, paid = 0.0, 0
    for gap, frames in chunks:
        now += gap
        assert paid <= 2 * burst + rate * now  # all before this chunk was worth its time
        bucket.left -= frames
        paid += frames
        if bucket.left < 0:
            wait = bucket.settle(now)
            assert max(0, -bucket.left - 1) <= wait * rate <= max(0, -bucket.left)
            now += wait
            assert bucket.settle(now) == 0
    assert -burst <= 0 <= bucket.left <= burst


@pytest.mark.parametrize(
    ("spent", "later", "wait", "left"),
    [
        pytest.param(0, 0, 0, 10, id="full"),
        pytest.param(10, 0, 0, 0, id="empty is no debt"),
        pytest.param(11, 0, 0.5, -1, id="one too many"),
        pytest.param(11, 1, 0, 1, id="paid meanwhile"),
        pytest.param(15, 60, 0, 5, id="at most a burst comes in between"),
        pytest.param(110, 0, 50, -100, id="a debt of many bursts"),
    ],
)
def test_settle(spent: int, later: float, wait: float, left: float) -> None:
    bucket = TokenBucket(Rate(2, 10), 100.0)
    bucket.left -= spent
    assert (wait, left) == (bucket.settle(100.0 + later), bucket.left)


@pytest.mark.parametrize(("later", "wait", "left"), [(49, 1, -2), (50, 0, 0), (51, 0, 2), (1000, 0, 10)])
def test_a_debt_of_many_bursts_is_paid_in_the_time_that_was_told(
    later: float, wait: float, left: float
) -> None:
    bucket = TokenBucket(Rate(2, 10), 0.0)
    bucket.left -= 110
    assert bucket.settle(0.0) == 50
    assert (wait, left) == (bucket.settle(later), bucket.left)


def test_repr_of_a_bucket() -> None:
    assert repr(TokenBucket(Rate(2, 10), 0.0)) == "<TokenBucket 2/s left=10 of 10>"


def test_a_quota_may_be_replaced_while_it_is_in_use() -> None:
    bucket = TokenBucket(Rate(2, 10), 0.0)
    bucket.quota = Rate(4, 5)
    assert bucket.settle(0.0) == 0
    assert bucket.left == 5  # what the old burst left over is not kept
    bucket.left -= 9
    assert bucket.settle(0.0) == 1  # a debt of 4 at the new rate


# Who waits.


@pytest.mark.parametrize(
    ("left", "waiting", "share"),
    [
        pytest.param(-3, 1, 0, id="in debt"),
        pytest.param(0, 1, 0, id="nothing"),
        pytest.param(1, 1, 1, id="one"),
        pytest.param(7, 1, 7, id="all for the only one that waits"),
        pytest.param(7, 2, 3, id="half for one of two"),
        pytest.param(2, 3, 1, id="one for the first of many"),
    ],
)
def test_what_comes_is_shared(left: int, waiting: int, share: int) -> None:
    bucket = TokenBucket(Rate(2, 10), 0.0)
    bucket.left = left
    bucket.waiting = waiting
    assert bucket.share(0.0) == share


def test_a_share_grows_with_time() -> None:
    bucket = TokenBucket(Rate(2, 10), 0.0)
    bucket.waiting = 1
    bucket.left = -1
    assert [bucket.share(now) for now in (0.0, 0.5, 0.75, 1.0, 2.0, 100.0)] == [0, 0, 0, 1, 3, 10]


@pytest.mark.parametrize(
    ("seconds", "waiting", "frames"), [(30, 1, 60), (30, 4, 15), (0.4, 1, 0), (1.2, 2, 1)]
)
def test_what_each_gets_within_a_time(seconds: float, waiting: int, frames: int) -> None:
    bucket = TokenBucket(Rate(2, 10), 0.0)
    bucket.waiting = waiting
    assert bucket.within(seconds) == frames


@pytest.mark.parametrize(
    ("left", "waiting", "wanted", "seconds"),
    [
        pytest.param(0, 1, 0, 0.01, id="one token, to be read from again"),
        pytest.param(0, 1, 1, 0.01, id="no longer than needed"),
        pytest.param(0, 1, 1000, 0.05, id="not for every token"),
        pytest.param(-10, 1, 1, 0.11, id="the debt first"),
        pytest.param(3, 1, 1, 0, id="at once"),
        pytest.param(0, 2, 1000, 0.04, id="as many for the other"),
        pytest.param(0, 30, 1000, 0.3, id="one for each of many"),
        pytest.param(0, 300, 1000, 3, id="one for each, of more than a burst"),
    ],
)
def test_the_next_turn(left: int, waiting: int, wanted: int, seconds: float) -> None:
    bucket = TokenBucket(Rate(100, 200), 0.0)
    bucket.left = left
    bucket.waiting = waiting
    assert bucket.next_turn(wanted) == pytest.approx(seconds)


def test_the_bucket_does_not_overflow_between_two_turns() -> None:
    bucket = TokenBucket(Rate(100, 2), 0.0)
    bucket.left = 0
    bucket.waiting = 1
    assert bucket.next_turn(1000) == 0.02


def test_where_there_was_nothing_the_next_token_decides() -> None:
    bucket = TokenBucket(Rate(2, 10), 0.0)
    bucket.waiting = 5
    bucket.left = 0
    assert bucket.next_turn(1000, bucket.share(0.25)) == 0.25


@settings(max_examples=100, deadline=None)
@given(
    rate=RATES,
    burst=BURSTS,
    wanted=st.lists(st.integers(1, 30), min_size=1, max_size=8),
)
def test_all_that_wait_get_what_they_want_and_together_never_more_than_the_rate(
    rate: float, burst: int, wanted: list[int]
) -> None:
    """Plays connections that wait: each asks at its turn, until it has what it wants."""
    bucket = TokenBucket(Rate(rate, burst), 0.0)
    bucket.waiting = len(wanted)
    turns = [(0.0, number) for number in range(len(wanted))]
    taken, total = 0, sum(wanted)
    while turns:
        turns.sort()
        now, number = turns.pop(0)
        share = min(bucket.share(now), wanted[number])
        bucket.left -= share
        wanted[number] -= share
        taken += share
        assert taken <= burst + rate * now + 1e-6
        if wanted[number]:
            turns.append((now + max(bucket.next_turn(wanted[number], share), 1 / 1024), number))
        else:
            bucket.waiting -= 1
    assert taken == total
    assert now <= (total + len(wanted) ** 2) / rate + 1


QUOTA = Rate(1, 2)


def test_rates_are_kept_by_key() -> None:
    buckets = Buckets(10)
    assert [buckets.take("a", QUOTA, 5.0) for _ in range(3)] == [0, 0, 1]
    assert buckets.take("b", QUOTA, 5.0) == 0
    assert [buckets.take("a", QUOTA, 5.75), buckets.take("a", QUOTA, 6.0)] == [0.25, 0]
    assert buckets.bucket("a", QUOTA, 6.0) is buckets.bucket("a", QUOTA, 7.0)


def test_a_key_that_gets_another_quota_keeps_what_it_has_spent() -> None:
    buckets = Buckets(10)
    assert [buckets.take("a", QUOTA, 5.0) for _ in range(3)] == [0, 0, 1]
    assert buckets.take("a", Rate(4, 8), 5.0) == 0.25
    assert [buckets.take("a", Rate(4, 8), 6.0) for _ in range(5)] == [0, 0, 0, 0, 0.25]


def test_a_rate_of_zero_is_no_limit_and_remembers_nobody() -> None:
    buckets = Buckets(10)
    assert [buckets.take("a", Rate(0, 2), 0.0) for _ in range(1000)] == [0.0] * 1000
    assert buckets.bucket("a", Rate(0, 2), 0.0) is None
    assert len(buckets) == 0


def test_the_least_recently_used_is_forgotten_first() -> None:
    buckets = Buckets(2)
    quota = Rate(1, 1)
    for key in ("a", "b", "a", "c"):
        buckets.take(key, quota, 0.0)
    assert list(buckets._buckets) == ["a", "c"]
    assert buckets.take("a", quota, 0.0) == 1  # still remembered
    assert buckets.take("b", quota, 0.0) == 0  # forgotten, so new


def test_many_addresses_do_not_fill_the_memory_nor_free_the_one_that_comes_often() -> None:
    buckets = Buckets(1000)
    quota = Rate(0.001, 5)
    passed = 0
    for number in range(100_000):
        buckets.bucket(str(number), quota, 0.0)
        if number % 500 == 0:
            passed += buckets.take("often", quota, 0.0) == 0
    assert len(buckets) == 1000
    assert passed == 5
    assert repr(buckets) == "<Buckets keys=1000>"
