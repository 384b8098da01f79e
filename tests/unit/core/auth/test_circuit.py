"""Auth's health: whose failures open the circuit, whose answers close it, and what one client can move."""

from __future__ import annotations

import random

import pytest

from memmie_gateway.core.auth.circuit import (
    BLIND_PROBES,
    MAX_SUSPECTS,
    TRIALS,
    AuthHealth,
    Circuit,
    Doubt,
    Turn,
)
from memmie_gateway.core.auth.failure_window import WINDOW_SECONDS

CLOSED, OPEN, TRIAL = Circuit
FREE, IN_TRIAL, HELD, REFUSED = Turn
RNG = random.Random(1)  # noqa: S311 - a test's


class Auth:
    """The health of an Auth, with a clock."""

    def __init__(self, *, failures: int = 5, probe_seconds: float = 1) -> None:
        self.health = AuthHealth(failures=failures, probe_seconds=probe_seconds)
        self.now = 100.0

    @property
    def circuit(self) -> Circuit:
        return self.health.circuit

    def fail(self, *pairs: str, in_trial: bool = False, asked_at: float | None = None) -> Doubt:
        """Let the tokens fail; `a1` is token 1 of address a. Return what the last one leads to."""
        doubt = Doubt.NONE
        for pair in pairs:
            asked = self.now if asked_at is None else asked_at
            doubt = self.health.failed(
                pair[0], pair.encode(), asked_at=asked, now=self.now, in_trial=in_trial
            )
        return doubt

    def answer(self, *pairs: str, in_trial: bool = False, asked_at: float | None = None) -> bool:
        """Let the tokens have a verdict; return whether the last one closes the circuit."""
        closes = False
        for pair in pairs:
            asked = self.now if asked_at is None else asked_at
            closes = self.health.answered(
                pair[0], pair.encode(), asked_at=asked, now=self.now, in_trial=in_trial
            )
        return closes

    def probe(self, *, alive: bool) -> bool:
        self.health.probing(self.now)
        return self.health.probed(self.now, alive=alive)

    def turns(self, addresses: str) -> list[Turn]:
        return [self.health.turn(address, self.now) for address in addresses]


def opened() -> Auth:
    auth = Auth()
    assert auth.fail("a1", "a2", "b1", "b2", "c1") is Doubt.OPENED
    return auth


def in_trial() -> Auth:
    auth = opened()
    auth.probe(alive=True)
    return auth


# Opening.


@pytest.mark.parametrize(
    ("failed", "good", "expected"),
    [
        pytest.param("a1 b1 c1 a2", "", Doubt.NONE, id="too few"),
        pytest.param("a1 b1 c1 a2 b2", "", Doubt.OPENED, id="enough, of three"),
        pytest.param("a1 b1 c1 d1 e1", "", Doubt.OPENED, id="enough, of five"),
        pytest.param("a1 a1 a1 a1 b1 c1", "", Doubt.NONE, id="a token counts once"),
        pytest.param("a1 a2 a3 a4 a5 a6 b1 b2 b3", "", Doubt.PROBE, id="two addresses"),
        pytest.param("a1 b1 c1 a2 b2", "d1 e1 f1", Doubt.OPENED, id="half of the addresses"),
        pytest.param("a1 b1 c1 a2 b2", "d1 e1 f1 g1", Doubt.PROBE, id="less than half of the addresses"),
        pytest.param(
            "a1 b1 c1 d1 e1", "f1 f2 f3 f4 f5 f6 f7 f8 f9", Doubt.OPENED, id="much junk of one address"
        ),
        pytest.param(
            "a1 b1 c1 a2 b2", "a3 a4 a5 b3 b4 b5 c3 c4", Doubt.PROBE, id="a few of many behind each address"
        ),
    ],
)
def test_what_opens_the_circuit(failed: str, good: str, expected: Doubt) -> None:
    auth = Auth()
    auth.answer(*good.split())
    assert auth.fail(*failed.split()) is expected
    assert (auth.circuit is OPEN) is (expected is Doubt.OPENED)


def test_a_hundred_tokens_of_one_address_only_start_probes() -> None:
    auth = Auth()
    for number in range(100):
        auth.fail(f"a{number}")
        assert auth.probe(alive=True) is False
    assert auth.circuit is CLOSED


@pytest.mark.parametrize(("tokens", "expected"), [(1, Doubt.PROBE), (2, Doubt.PROBE), (3, Doubt.OPENED)])
def test_one_token_of_many_addresses_only_starts_probes(tokens: int, expected: Doubt) -> None:
    auth = Auth()
    doubts = [
        auth.health.failed(f"a{number}", b"%d" % (number % tokens), asked_at=auth.now, now=auth.now)
        for number in range(6)
    ]
    assert (auth.circuit is OPEN) is (expected is Doubt.OPENED)
    assert expected in doubts


def test_a_few_addresses_that_always_fail_do_not_open_it_again_and_again() -> None:
    """Others are asked about only while it is closed, so their good answers must count at the next start, too."""
    auth = Auth()
    others = "defg"
    for number, other in enumerate(others):
        assert auth.fail("a1", "a2", "b1", "b2", "c1") is Doubt.OPENED, number
        auth.now += 1
        auth.probe(alive=True)
        assert auth.turns(other) == [IN_TRIAL]
        assert auth.answer(f"{other}1", in_trial=True)
    auth.now += 1
    assert auth.fail("a1", "a2", "b1", "b2", "c1") is Doubt.PROBE
    assert auth.circuit is CLOSED


def test_failures_that_are_older_than_the_window_do_not_count() -> None:
    auth = Auth()
    auth.fail("a1", "b1", "c1", "a2")
    auth.now += WINDOW_SECONDS
    assert auth.fail("b2") is Doubt.NONE


def test_zero_failures_never_open_it() -> None:
    auth = Auth(failures=0)
    assert {auth.fail(f"{address}1") for address in "abcdefgh"} == {Doubt.NONE}
    assert auth.probe(alive=False) is False


def test_with_few_addresses_a_failed_probe_opens_it() -> None:
    auth = Auth()
    auth.answer("z1")
    auth.now += 1
    assert auth.fail("a1", "a2", "a3", "a4", "a5") is Doubt.PROBE
    assert auth.probe(alive=False) is True
    assert auth.circuit is OPEN


def test_probes_have_their_interval_while_it_is_closed_as_well() -> None:
    auth = Auth(probe_seconds=2)
    assert auth.fail("a1", "a2", "a3", "a4", "a5") is Doubt.PROBE
    auth.probe(alive=True)
    auth.now += 1.9
    assert auth.fail("a6") is Doubt.NONE
    auth.now += 0.1
    assert auth.fail("a7") is Doubt.PROBE


def test_a_failed_probe_alone_does_not_open_it() -> None:
    auth = Auth()
    auth.fail("a1", "a2", "a3", "a4")
    assert auth.probe(alive=False) is False


def test_a_failed_probe_does_not_open_it_while_others_have_verdicts() -> None:
    """Otherwise one client could shut out all others where only the health check of Auth is broken."""
    auth = Auth()
    auth.fail("a1", "a2", "a3", "a4", "a5")
    auth.now += 0.5
    auth.answer("b1")
    assert auth.probe(alive=False) is False


# Open.


def test_open_refuses_all() -> None:
    assert opened().turns("abz") == [REFUSED] * 3


@pytest.mark.parametrize(("probe_seconds", "held"), [(1, 0.3), (0.2, 0.06), (60, 0.3)])
def test_shortly_before_a_probe_they_are_held_for_its_result(probe_seconds: float, held: float) -> None:
    auth = Auth(failures=1, probe_seconds=probe_seconds)
    auth.fail("a1", "b1", "c1")
    auth.now += probe_seconds - held - 0.01
    assert auth.turns("z") == [REFUSED]
    auth.now += 0.02
    assert auth.turns("z") == [HELD]
    auth.probe(alive=False)
    assert auth.turns("z") == [REFUSED]


def test_verdicts_and_failures_of_questions_under_way_change_nothing() -> None:
    auth = opened()
    assert auth.answer("a1", "z1") is False
    assert auth.fail("z2", "y1", "x1", "w1") is Doubt.NONE
    assert auth.circuit is OPEN


def test_a_failed_probe_keeps_it_open_and_an_answer_begins_a_trial() -> None:
    auth = opened()
    assert auth.probe(alive=False) is False
    assert auth.circuit is OPEN
    assert auth.probe(alive=True) is False
    assert auth.circuit is TRIAL


def test_a_broken_health_check_does_not_keep_it_open_for_ever() -> None:
    auth = opened()
    for _ in range(3):
        for _ in range(BLIND_PROBES - 1):
            auth.probe(alive=False)
            assert auth.circuit is OPEN
        auth.probe(alive=False)
        assert auth.circuit is TRIAL
    assert auth.turns("z") == [IN_TRIAL]
    assert auth.answer("z1", in_trial=True) is True


# Trial.


def test_the_next_three_are_in_the_trial_and_one_verdict_closes_the_circuit() -> None:
    auth = in_trial()
    assert auth.turns("aaaz") == [IN_TRIAL] * TRIALS + [HELD]
    auth.fail("a1", "a2", in_trial=True)
    assert auth.answer("a3", in_trial=True) is True
    assert (auth.circuit, auth.turns("az")) == (CLOSED, [FREE, FREE])
    assert auth.answer("a4", in_trial=True) is False  # it is closed already


def test_three_failures_open_it_again() -> None:
    auth = in_trial()
    auth.turns("abc")
    auth.fail("a1", "b1", in_trial=True)
    assert auth.circuit is TRIAL
    auth.fail("c1", in_trial=True)
    assert (auth.circuit, auth.turns("z")) == (OPEN, [REFUSED])


def test_answers_that_are_neither_leave_it_in_the_trial_until_the_next_probe() -> None:
    auth = in_trial()
    auth.turns("abc")
    auth.fail("a1", "b1", in_trial=True)
    assert (auth.circuit, auth.turns("z")) == (TRIAL, [HELD])
    auth.probe(alive=True)
    assert auth.turns("z") == [IN_TRIAL]


def test_a_probe_that_fails_ends_the_trial() -> None:
    auth = in_trial()
    auth.probe(alive=False)
    assert auth.turns("z") == [REFUSED]
    assert auth.circuit is OPEN


def test_one_address_cannot_take_all_places_in_every_trial() -> None:
    auth = in_trial()
    assert auth.turns("aaa") == [IN_TRIAL] * 3
    auth.probe(alive=True)
    assert auth.turns("aaaaz") == [IN_TRIAL, HELD, HELD, HELD, IN_TRIAL]
    auth.probe(alive=True)
    assert auth.turns("aazy") == [IN_TRIAL, HELD, IN_TRIAL, IN_TRIAL]


def test_a_few_addresses_cannot_take_all_places_in_every_trial() -> None:
    auth = in_trial()
    auth.turns("abc")
    auth.probe(alive=True)
    assert auth.turns("abcz") == [IN_TRIAL, IN_TRIAL, HELD, IN_TRIAL]


def test_suspects_are_forgotten_when_it_closes_and_their_number_is_bounded() -> None:
    auth = in_trial()
    for number in range(MAX_SUSPECTS):
        auth.health.turn(f"x{number}", auth.now)
        auth.health.turn(f"y{number}", auth.now)
        auth.probe(alive=True)
    assert len(auth.health._suspects) == MAX_SUSPECTS
    auth.health.turn("z", auth.now)
    auth.answer("z1", in_trial=True)
    assert auth.health._suspects == {}


# Closed again.


def test_questions_asked_before_it_closed_do_not_open_it_again() -> None:
    auth = in_trial()
    asked_at = auth.now
    auth.now += 1
    auth.turns("z")
    auth.answer("z1", in_trial=True)
    auth.now += 1
    assert auth.fail("a1", "b1", "c1", "d1", "e1", asked_at=asked_at) is Doubt.NONE
    assert auth.answer("f1", asked_at=asked_at) is False
    assert auth.health._window.failures(auth.now).addresses == 1, "the one that closed it"
    assert auth.fail("a1", "b1", "c1", "d1", "e1") is Doubt.OPENED


def test_failures_before_it_opened_are_forgotten_when_it_closes() -> None:
    auth = in_trial()
    auth.turns("z")
    auth.answer("z1", in_trial=True)
    assert auth.fail("a1", "b1", "c1", "d1") is Doubt.NONE


# When to come back.


def test_retry_after_differs_at_any_time() -> None:
    auth = opened()
    for _ in range(20):
        auth.now += 0.1
        waits = [auth.health.retry_after(auth.now, RNG) for _ in range(200)]
        assert 0.6 <= min(waits) < 1 < max(waits) <= 1.3  # whole seconds: 1 for some, 2 for others


@pytest.mark.parametrize(("probe_seconds", "shortest", "longest"), [(0.1, 0.6, 1.3), (60, 59.6, 101.6)])
def test_retry_after_with_other_intervals(probe_seconds: float, shortest: float, longest: float) -> None:
    auth = Auth(failures=1, probe_seconds=probe_seconds)
    auth.fail("a1", "b1", "c1")
    waits = [auth.health.retry_after(auth.now, RNG) for _ in range(200)]
    assert shortest <= min(waits) < max(waits) <= longest
    assert max(waits) - min(waits) > 0.5


def test_closed_needs_no_waiting() -> None:
    assert Auth().health.retry_after(0, RNG) == 0


def test_repr() -> None:
    assert repr(opened().health) == "<AuthHealth open <FailureWindow addresses=3 tokens=5>>"
