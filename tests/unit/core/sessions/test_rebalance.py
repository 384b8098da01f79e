"""Where the connections of a user belong, which of them are moved, and how often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memmie_gateway.core.sessions.rebalance import (
    AGAIN_SECONDS,
    CALM_SECONDS,
    FINISH_SECONDS,
    HOME_PATIENCE_SECONDS,
    PATIENCE_SECONDS,
    Moves,
    Rebalance,
    Standing,
    destination,
    standing,
)

AWAY, DOUBTED, CALM, SETTLED = Standing
SPLIT, HOME, OFF = Rebalance
LONG = 1000.0

# What speaks against a backend.


@pytest.mark.parametrize(
    ("away", "good_for", "back_for", "expected"),
    [
        pytest.param(True, LONG, LONG, AWAY, id="dead or ejected"),
        pytest.param(False, 2.9, LONG, DOUBTED, id="a dial failed a moment ago"),
        pytest.param(False, -float("inf"), LONG, DOUBTED, id="its health check fails"),
        pytest.param(False, LONG, 9.9, DOUBTED, id="in its slow start"),
        pytest.param(False, 3.0, 10.0, CALM, id="calm"),
        pytest.param(False, 29.9, LONG, CALM, id="not long enough for its users"),
        pytest.param(False, 30.0, LONG, SETTLED, id="long enough"),
    ],
)
def test_standing(away: bool, good_for: float, back_for: float, expected: Standing) -> None:  # noqa: FBT001 - a parameter of the test
    assert standing(away=away, good_for=good_for, back_for=back_for, after=30, slow_start=10) is expected


def test_a_shorter_wait_is_a_shorter_wait() -> None:
    assert standing(away=False, good_for=0.5, back_for=0.5, after=0.5, slow_start=10) is SETTLED
    assert standing(away=False, good_for=0.0, back_for=0.0, after=0.0, slow_start=10) is SETTLED
    assert standing(away=False, good_for=-0.1, back_for=LONG, after=0.0, slow_start=0) is DOUBTED


# Where a user belongs. Each place is a letter; a backend that is not named is settled.


def to(
    mode: Rebalance, places: str, home: str | None = "h", newest_for: float = LONG, **known: Standing
) -> str | None:
    return destination(mode, places, home, lambda place: known.get(place, SETTLED), newest_for)


@pytest.mark.parametrize("mode", Rebalance)
def test_who_is_at_home_stays(mode: Rebalance) -> None:
    assert to(mode, "h") is None
    assert to(mode, "hhh") is None


@pytest.mark.parametrize("places", ["a", "ab", "ah", "aab"])
def test_off_moves_nobody(places: str) -> None:
    assert to(OFF, places) is None


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param("a", None, id="not split, though not at home"),
        pytest.param("aa", None, id="not split either"),
        pytest.param("aab", "a", id="one move instead of two"),
        pytest.param("baa", "a", id="whatever is the newest"),
        pytest.param("ab", "b", id="the newest, if that makes no difference"),
        pytest.param("aabb", "b", id="the newest of the same number"),
        pytest.param("abcbc", "c", id="of three places"),
        pytest.param("hha", "h", id="home counts as any other"),
    ],
)
def test_a_split_user_is_healed_with_the_fewest_moves(places: str, expected: str | None) -> None:
    assert to(SPLIT, places) == expected
    assert to(SPLIT, places, home=None) == expected


@pytest.mark.parametrize("known", [AWAY, DOUBTED])
def test_nobody_is_moved_to_a_backend_that_something_speaks_against(known: Standing) -> None:
    assert to(SPLIT, "aab", a=known) == "b"
    assert to(SPLIT, "ab", b=known) == "a"
    assert to(SPLIT, "aab", a=known, b=known) is None
    assert to(HOME, "a", h=known) is None
    assert to(HOME, "ab", h=known, a=known, b=known) is None


def test_a_split_user_waits_a_moment_for_fewer_moves() -> None:
    assert to(SPLIT, "aab", newest_for=PATIENCE_SECONDS - 0.1, a=DOUBTED) is None
    assert to(SPLIT, "aab", newest_for=PATIENCE_SECONDS, a=DOUBTED) == "b"
    assert to(SPLIT, "aab", newest_for=0, a=AWAY) == "b"
    assert to(SPLIT, "aab", newest_for=0, a=CALM) == "a"


def test_a_split_user_does_not_wait_where_it_saves_no_move() -> None:
    assert to(SPLIT, "aba", newest_for=0, a=DOUBTED) == "b"  # the newest is there: it works
    assert to(SPLIT, "ab", newest_for=0, b=DOUBTED) == "a"


def test_strays_go_home_when_it_is_settled() -> None:
    assert to(HOME, "a") == "h"
    assert to(HOME, "aab") == "h"
    assert to(HOME, "aah") == "h"
    assert to(HOME, "a", h=CALM) is None
    assert to(HOME, "a", home=None) is None


def test_split_users_go_home_as_soon_as_it_is_calm() -> None:
    assert to(HOME, "ab", h=CALM) == "h"
    assert to(HOME, "aah", h=CALM) == "h"


def test_split_users_wait_for_their_home_and_not_for_ever() -> None:
    assert to(HOME, "aab", newest_for=HOME_PATIENCE_SECONDS - 0.1, h=DOUBTED) is None
    assert to(HOME, "aab", newest_for=HOME_PATIENCE_SECONDS, h=DOUBTED) == "a"
    assert to(HOME, "aab", newest_for=0, h=AWAY) == "a"
    assert to(HOME, "aab", home=None) == "a"


@given(
    st.sampled_from(Rebalance),
    st.text("hab", min_size=1, max_size=5),
    st.dictionaries(st.sampled_from("hab"), st.sampled_from(Standing)),
    st.floats(0, 100),
)
def test_a_move_always_has_a_reason_and_a_good_destination(
    mode: Rebalance, places: str, known: dict[str, Standing], newest_for: float
) -> None:
    found = destination(mode, places, "h", lambda place: known.get(place, SETTLED), newest_for)
    if found is not None:
        assert mode is not OFF
        assert known.get(found, SETTLED) >= CALM
        assert set(places) != {found}
        assert found == "h" or len(set(places)) > 1


# How often.


@pytest.fixture
def moves() -> Moves[str]:
    return Moves()


def test_a_user_who_was_never_moved_may_be(moves: Moves[str]) -> None:
    assert moves.may_end("u1", 0, "a", 1)
    assert moves.under_way("u1", 0, lambda: 1) is None
    moves.ended("u2", "a", 1)
    assert moves.may_end("u1", 0, "a", 1)


def test_a_move_goes_on_with_the_other_connections(moves: Moves[str]) -> None:
    moves.ended("u1", "a", 10)
    assert moves.may_end("u1", 9, "a", 11)
    moves.ended("u1", "a", 11)
    assert moves.may_end("u1", 10, "a", 10 + FINISH_SECONDS - 0.1)
    assert not moves.may_end("u1", 9, "b", 11), "the destination stays"
    assert not moves.may_end("u1", 10.1, "a", 11), "a connection that is newer was not led there"
    assert not moves.may_end("u1", 9, "a", 10 + FINISH_SECONDS)


def test_a_user_is_not_moved_again_for_ten_minutes(moves: Moves[str]) -> None:
    moves.ended("u1", "a", 10)
    moves.ended("u1", "a", 20)
    assert not moves.may_end("u1", 30, "b", 10 + AGAIN_SECONDS - 0.1)
    assert moves.may_end("u1", 30, "b", 10 + AGAIN_SECONDS)
    moves.ended("u1", "b", 10 + AGAIN_SECONDS)
    assert not moves.may_end("u1", LONG, "a", 11 + AGAIN_SECONDS)


def test_the_next_connection_goes_to_the_destination(moves: Moves[str]) -> None:
    moves.ended("u1", "a", 10)
    assert moves.under_way("u1", 9, lambda: 11) == "a"
    assert moves.under_way("u1", 11, lambda: 12) is None, "one has begun since: it shows where they are now"
    assert moves.under_way("u1", 9, lambda: 10 + FINISH_SECONDS) is None
    assert moves.under_way("u2", 9, lambda: 11) is None


def test_old_moves_are_forgotten(moves: Moves[str]) -> None:
    for number in range(100):
        moves.ended(f"u{number}", "a", number * CALM_SECONDS)
    assert repr(moves) == "<Moves 100>"
    moves.ended("u100", "a", 50 * CALM_SECONDS + AGAIN_SECONDS)
    assert repr(moves) == "<Moves 50>"
