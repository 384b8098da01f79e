"""The control group: who is asked about besides, how often, and what that says of Auth."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from memmie_gateway.core.sessions.control_group import MAX_USERS, WINDOW_SECONDS, ControlGroup, Opinion


def always(_: bytes) -> bool:
    return True


def group(users: int, tokens: int = 1) -> ControlGroup:
    made = ControlGroup(random.Random(1))  # noqa: S311 - a test's, which repeats
    for user in range(users):
        for token in range(tokens):
            made.add(f"u{user}", b"%d.%d" % (user, token))
    return made


def note(made: ControlGroup, now: float, *, valid: Iterable[int] = (), refused: Iterable[int] = ()) -> None:
    for users, is_refused in ((valid, False), (refused, True)):
        for user in users:
            made.note(f"u{user}", now, refused=is_refused)


@pytest.mark.parametrize(
    ("users", "expected"), [(1, 0), (2, 1), (6, 5), (21, 20), (22, 20), (1000, MAX_USERS)]
)
def test_other_users_are_chosen_one_token_each(users: int, expected: int) -> None:
    chosen = group(users, tokens=3).choose("u0", 0, 0, may_ask=always)
    owners = [digest.split(b".")[0] for digest in chosen]
    assert len(owners) == len(set(owners)) == expected
    assert b"0" not in owners


def test_at_most_so_many_are_chosen_in_a_minute() -> None:
    made = group(100)
    assert len(made.choose("u0", 0, 0, may_ask=always)) == MAX_USERS
    assert made.choose("u1", 10, 10, may_ask=always) == []
    assert made.choose("u1", 59, 59, may_ask=always) == []
    assert len(made.choose("u1", 60, WINDOW_SECONDS, may_ask=always)) == MAX_USERS


def test_the_choice_is_random_and_a_user_with_many_tokens_is_no_more_likely() -> None:
    made = group(4)
    for token in range(1000):
        made.add("hoarder", b"h%d" % token)
    chosen = made.choose("u0", 0, 0, may_ask=always)
    assert len(chosen) == 4
    assert sum(digest.startswith(b"h") for digest in chosen) == 1


def test_users_with_a_new_answer_and_tokens_that_may_not_be_asked_about_are_left_out() -> None:
    made = group(6)
    note(made, 5.0, valid=[1])
    note(made, 3.0, valid=[2])
    chosen = made.choose("u0", 4.0, 6.0, may_ask=lambda digest: digest != b"3.0")
    assert sorted(chosen) == [b"2.0", b"4.0", b"5.0"]


def test_who_has_left_is_not_chosen() -> None:
    made = group(3, tokens=2)
    made.remove("u1", b"1.0")
    assert sorted(made.choose("u0", 0, 0, may_ask=lambda digest: b".1" in digest)) == [b"1.1", b"2.1"]
    made.remove("u1", b"1.1")
    assert len(made.choose("u0", 0, 100, may_ask=always)) == 1


@pytest.mark.parametrize(
    ("valid", "refused", "doubtful"),
    [
        (5, 0, False),
        (4, 1, False),
        (3, 2, True),
        (0, 5, True),
        (16, 4, False),
        (15, 5, True),
        (4, 0, False),
        (0, 4, True),
        (0, 3, False),
    ],
)
def test_more_than_a_fifth_of_five_users_is_doubtful(valid: int, refused: int, doubtful: bool) -> None:  # noqa: FBT001 - a column
    made = group(30)
    note(made, 1.0, valid=range(1, 1 + valid), refused=range(1 + valid, 1 + valid + refused))
    assert made.opinion("u0", 0.0) == Opinion(refused, valid + refused, valid + refused >= 4)
    assert made.opinion("u0", 0.0).doubtful is doubtful


@pytest.mark.parametrize(("users", "enough"), [(1, True), (4, True), (5, False)])
def test_where_there_are_too_few_others_nothing_more_is_needed(users: int, enough: bool) -> None:  # noqa: FBT001 - a column
    assert group(users).opinion("u0", 0.0) == Opinion(0, 0, enough)
    assert not group(users).opinion("u0", 0.0).doubtful


def test_the_user_itself_and_earlier_answers_do_not_count() -> None:
    made = group(10)
    note(made, 1.0, refused=[1, 2, 3])
    note(made, 2.0, refused=[0], valid=[4, 5, 6])
    assert made.opinion("u0", 1.5)[:2] == (0, 3)
    assert made.opinion("u0", 1.0)[:2] == (3, 6)
    assert made.opinion("u9", 1.5)[:2] == (1, 4)
    note(made, 3.0, valid=[1])  # a user counts once, with the latest answer
    assert made.opinion("u0", 1.0)[:2] == (2, 6)


def test_only_the_latest_users_count() -> None:
    made = group(100)
    note(made, 1.0, refused=range(1, 50))
    note(made, 1.0, valid=range(50, 70))
    assert made.opinion("u0", 0.0)[:2] == (0, MAX_USERS)


def test_old_answers_are_forgotten() -> None:
    made = group(3)
    note(made, 0.0, valid=range(1000))
    note(made, WINDOW_SECONDS, valid=[1])
    assert repr(made) == "<ControlGroup users=3 answers=1>"
