"""Rechecks: when each token is asked about, and what two refusals are worth."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
from collections.abc import Callable

import pytest

from memmie_gateway.core.sessions.recheck import CONFIRM_SECONDS, Answer, Decision, RawToken, Rechecks

SECONDS = 100.0
ALL = 100_000


class Auth:
    """Asks about what is due, with a clock of its own; `says` answers."""

    def __init__(self, users: int, *, seconds: float = SECONDS, tokens: int = 1) -> None:
        self.now = 0.0
        self.rechecks = Rechecks(seconds, random.Random(1), self.now)  # noqa: S311 - a test's, which repeats
        self.asked: list[tuple[float, bytes]] = []
        self.decisions: list[tuple[float, bytes, Decision]] = []
        self.says: Callable[[bytes], Answer] = lambda _: Answer.VALID
        for user in range(users):
            for token in range(tokens):
                self.rechecks.watch(b"%d.%d" % (user, token), f"u{user}", self.now)

    def run(self, seconds: float) -> None:
        """Let so many seconds pass."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.25
            for digest in self.rechecks.due(self.now, ALL):
                self.asked.append((self.now, digest))
                decision = self.rechecks.answered(digest, self.says(digest), self.now)
                if decision is not None:
                    self.decisions.append((self.now, digest, decision))

    def times(self, digest: bytes) -> list[float]:
        return [when for when, one in self.asked if one == digest]

    def gaps(self, digest: bytes) -> list[float]:
        return [later - sooner for sooner, later in itertools.pairwise(self.times(digest))]

    @property
    def condemned(self) -> set[bytes]:
        return {digest for _, digest, decision in self.decisions if decision.condemned}


def refuse(*digests: bytes) -> Callable[[bytes], Answer]:
    return lambda digest: Answer.REFUSED if digest in digests else Answer.VALID


# When.


def test_each_token_is_asked_about_once_in_its_time_with_jitter() -> None:
    auth = Auth(200)
    auth.run(SECONDS)
    first = [auth.times(b"%d.0" % user)[0] for user in range(200)]
    assert min(first) >= SECONDS / 2
    assert max(first) <= SECONDS + 0.25
    in_a_second = [sum(second <= when < second + 1 for when in first) for second in range(50, 100)]
    assert max(in_a_second) < 20
    auth.run(3 * SECONDS)
    gaps = [gap for user in range(200) for gap in auth.gaps(b"%d.0" % user)]
    assert min(gaps) >= SECONDS / 2
    assert max(gaps) <= SECONDS + 0.25


def test_at_most_so_many_are_due_at_once_and_the_rest_stays_due() -> None:
    rechecks = Auth(10).rechecks
    assert len(rechecks.due(SECONDS, 4)) == 4
    assert len(rechecks.due(SECONDS, 4)) == 4
    assert len(rechecks.due(SECONDS, 4)) == 2


def test_a_token_that_was_forgotten_is_not_asked_about_and_an_answer_about_it_means_nothing() -> None:
    auth = Auth(2)
    (digest,) = auth.rechecks.due(SECONDS, 1)
    auth.rechecks.forget(digest)
    auth.rechecks.forget(digest)
    assert auth.rechecks.answered(digest, Answer.REFUSED, SECONDS) is None
    assert len(auth.rechecks) == 1
    auth.run(3 * SECONDS)
    assert auth.times(digest) == []


def test_watching_it_again_asks_no_sooner() -> None:
    auth = Auth(1)
    for _ in range(20):
        auth.run(10)
        auth.rechecks.watch(b"0.0", "u0", auth.now)
    assert 2 <= len(auth.asked) <= 4


def test_after_its_end_a_token_is_not_asked_about() -> None:
    auth = Auth(0)
    auth.rechecks.watch(b"a", "u", 0.0, until=10.0)
    auth.run(300)
    auth.rechecks.watch(b"a", "u", auth.now, until=20.0)
    auth.run(300)
    assert auth.asked == []
    assert len(auth.rechecks._wheel) == 0
    auth.rechecks.watch(b"a", "u", auth.now)  # Auth has given it more time
    auth.run(SECONDS)
    assert auth.asked


def test_a_refusal_that_comes_after_its_end_says_nothing_new() -> None:
    auth = Auth(0)
    auth.rechecks.watch(b"a", "u", 0.0, until=SECONDS)
    (digest,) = auth.rechecks.due(SECONDS - 0.1, 1)
    for _ in range(2):
        assert auth.rechecks.answered(digest, Answer.REFUSED, SECONDS) is None
    assert repr(auth.rechecks) == "<Rechecks 1 suspects=0 condemned=0>"


# What follows.


@pytest.mark.parametrize("users", [1, 2, 5, 6, 7, 100])
def test_two_refusals_five_seconds_apart_condemn_one_token_of_any_number_of_users(users: int) -> None:
    auth = Auth(users)
    auth.says = refuse(b"0.0")
    auth.run(SECONDS + CONFIRM_SECONDS + 1)
    first, second = auth.times(b"0.0")
    assert CONFIRM_SECONDS <= second - first <= CONFIRM_SECONDS + 0.25
    assert [(when, digest) for when, digest, _ in auth.decisions] == [(second, b"0.0")]
    assert auth.condemned == {b"0.0"}
    assert auth.rechecks.is_condemned(b"0.0")
    auth.rechecks.forget(b"0.0")
    assert not auth.rechecks.is_condemned(b"0.0")


def test_two_refusals_at_the_same_time_are_one() -> None:
    """Auth may be slow, and a token may be asked about twice before its answer comes."""
    auth = Auth(1)
    first = auth.rechecks.due(SECONDS, ALL)
    for _ in range(2):
        assert auth.rechecks.answered(first[0], Answer.REFUSED, SECONDS) is None
    assert auth.rechecks.answered(first[0], Answer.REFUSED, SECONDS + CONFIRM_SECONDS - 0.1) is None
    assert auth.rechecks.due(SECONDS + CONFIRM_SECONDS + 0.25, ALL) == first
    assert auth.rechecks.answered(first[0], Answer.REFUSED, SECONDS + CONFIRM_SECONDS + 0.25) is not None


def test_one_refusal_condemns_nobody() -> None:
    auth = Auth(3)
    refusals = iter([Answer.REFUSED])
    auth.says = lambda _: next(refusals, Answer.VALID)
    auth.run(3 * SECONDS)
    assert auth.decisions == []
    assert repr(auth.rechecks) == "<Rechecks 3 suspects=0 condemned=0>"


@pytest.mark.parametrize("users", [5, 6, 7, 20, 200])
@pytest.mark.parametrize("seconds", [1.0, 30.0, 600.0])
def test_an_auth_that_refuses_every_token_condemns_nobody(users: int, seconds: float) -> None:
    auth = Auth(users, seconds=seconds, tokens=2)
    auth.says = lambda _: Answer.REFUSED
    auth.run(5 * seconds + 100)
    assert auth.condemned == set()
    assert auth.decisions
    assert all(decision.refused == decision.asked >= 4 for _, _, decision in auth.decisions)


@pytest.mark.parametrize("breaks", [1.0, 4.0, 20.0, 55.0, 61.0])
def test_an_auth_that_breaks_after_a_true_refusal_condemns_only_that_one(breaks: float) -> None:
    """The extra questions of the minute are spent by then, and what they said is not true any more."""
    auth = Auth(300, seconds=60.0)
    auth.says = refuse(b"0.0")
    while not auth.times(b"0.0"):
        auth.run(0.25)
    auth.run(breaks)
    auth.says = lambda _: Answer.REFUSED
    auth.run(180)
    assert auth.condemned <= {b"0.0"}


@pytest.mark.parametrize("users", [1, 3, 4])
def test_of_few_users_the_two_refusals_decide(users: int) -> None:
    auth = Auth(users)
    auth.says = lambda _: Answer.REFUSED
    auth.run(SECONDS + CONFIRM_SECONDS + 1)
    assert len(auth.condemned) == users


def test_one_users_many_tokens_are_one_user() -> None:
    auth = Auth(10)
    for token in range(50):
        auth.rechecks.watch(b"h%d" % token, "hoarder", 0.0)
    auth.says = lambda digest: Answer.REFUSED if digest.startswith(b"h") else Answer.VALID
    auth.run(3 * SECONDS)
    assert len(auth.condemned) == 50


def test_many_users_that_were_truly_revoked_are_all_condemned_in_the_end() -> None:
    """A tenth of them; refused tokens are asked about more often, which must not count for more."""
    auth = Auth(300)
    revoked = {b"%d.0" % user for user in range(30)}
    auth.says = refuse(*revoked)
    auth.run(20 * SECONDS)
    assert auth.condemned == revoked


def test_between_the_refusals_at_most_twenty_others_are_asked_about_a_minute() -> None:
    auth = Auth(1000, seconds=100_000.0)
    auth.says = refuse(b"0.0", b"1.0", b"2.0")
    for number in range(3):
        auth.rechecks.answered(b"%d.0" % number, Answer.REFUSED, auth.now)
    auth.run(CONFIRM_SECONDS - 0.25)
    others = [digest for _, digest in auth.asked]
    assert len(others) == len(set(others)) == 20
    auth.run(50)
    assert len({digest for _, digest in auth.asked}) == 23


def test_where_auth_does_not_answer_about_others_nobody_is_condemned_until_it_does() -> None:
    auth = Auth(10, seconds=100_000.0)
    auth.says = lambda digest: Answer.REFUSED if digest == b"0.0" else Answer.NONE
    auth.rechecks.answered(b"0.0", Answer.REFUSED, auth.now)
    auth.run(300)
    assert auth.condemned == set()
    auth.says = refuse(b"0.0")
    auth.run(70)
    assert auth.condemned == {b"0.0"}


def test_no_answer_is_neither_a_refusal_nor_the_end_of_a_suspicion() -> None:
    auth = Auth(1)
    answers = iter([Answer.NONE, Answer.REFUSED, Answer.NONE, Answer.NONE, Answer.REFUSED])
    auth.says = lambda _: next(answers)
    while not auth.decisions:
        auth.run(0.25)
    gaps = auth.gaps(b"0.0")
    assert gaps[0] >= SECONDS / 2
    assert gaps[1:] == [CONFIRM_SECONDS] * 3


def test_a_condemned_token_is_asked_about_again_and_may_be_cleared() -> None:
    auth = Auth(1)
    auth.says = refuse(b"0.0")
    auth.run(3 * SECONDS)
    assert 2 <= len(auth.decisions) <= 6
    assert {decision for _, _, decision in auth.decisions} == {Decision(condemned=True)}
    auth.says = refuse()
    auth.run(SECONDS)
    assert not auth.rechecks.is_condemned(b"0.0")


def test_doubt_clears_those_that_were_condemned_before() -> None:
    """Their sessions may still wait for their turn to be ended."""
    auth = Auth(20)
    auth.says = refuse(b"0.0")
    while not auth.decisions:
        auth.run(1)
    assert auth.rechecks.is_condemned(b"0.0")
    auth.says = lambda _: Answer.REFUSED
    auth.run(2 * SECONDS)
    assert not auth.rechecks.is_condemned(b"0.0")
    assert auth.condemned == {b"0.0"}


# The raw token.


def test_a_raw_token_shows_nowhere() -> None:
    token = RawToken("SECRET")
    assert token.reveal() == "SECRET"
    for shown in (repr(token), str(token), f"{token}", repr([token]), repr({"t": token})):
        assert "SECRET" not in shown
    assert not hasattr(token, "__dict__")
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="must not leave"):
            leak(token)
