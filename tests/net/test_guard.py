"""The guard of Auth: which questions are asked at which time, and what closes and opens the circuit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.clock import Clock, loop_clock
from tests.net.pair import until

from memmie_gateway.core.auth.circuit import AuthHealth, Circuit, Turn
from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.auth.verdicts import REFUSED, AuthUnavailableError, Unusable, Verdict
from memmie_gateway.net.auth.guard import MAX_HOLD_SECONDS, MAX_PROBES, Guard
from memmie_gateway.net.auth.places import Places
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_harness.conformance.peers import PATIENCE

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])  # uvloop has a clock of its own

TIMEOUT = 5.0

Answer = asyncio.Future[Verdict]
Outcome = Verdict | AuthUnavailableError | ExhaustionError

YES = Identity("u1")
FAILS = AuthUnavailableError("it fails")
SAYS_NOTHING = AuthUnavailableError("it says nothing", failure=False)


class Auth:
    """An Auth behind a guard; a test gives the answers to questions and probes."""

    def __init__(self, places: int) -> None:
        health = AuthHealth(failures=3, probe_seconds=1)
        self.guard = Guard(
            health, Places(places, TIMEOUT), self._probed, timeout=TIMEOUT, rng=random.SystemRandom()
        )
        self.guard.on_circuit = self._told
        self.told: list[str] = []
        self.questions: dict[str, Answer] = {}
        self.times: list[float] = []
        self.probes: list[asyncio.Future[None]] = []
        self.alive: bool | None = None  # None: the test answers each probe

    def _told(self, words: str) -> None:
        self.told.append(words)

    def ask(self, token: str) -> asyncio.Task[Verdict]:
        """Ask about a token; the first letter is the address."""
        turn = self.guard.turn(token[0])
        return asyncio.create_task(self.guard.ask(lambda: self._asked(token), token[0], token.encode(), turn))

    async def _asked(self, token: str) -> Verdict:
        self.times.append(asyncio.get_running_loop().time())
        self.questions[token] = asyncio.get_running_loop().create_future()
        return await self.questions[token]

    async def _probed(self) -> None:
        probe = asyncio.get_running_loop().create_future()
        self.probes.append(probe)
        if self.alive is not None:
            self.answer_probe(len(self.probes) - 1, alive=self.alive)
        await probe

    def answer_probe(self, number: int, *, alive: bool) -> None:
        if alive:
            self.probes[number].set_result(None)
        else:
            self.probes[number].set_exception(FAILS)

    async def answer(self, token: str, outcome: Outcome) -> None:
        """Answer a question when it has come."""
        await until(lambda: token in self.questions)
        if isinstance(outcome, Exception):
            self.questions[token].set_exception(outcome)
        else:
            self.questions[token].set_result(outcome)

    async def exchange(self, token: str, outcome: Outcome) -> Verdict:
        asking = self.ask(token)
        await self.answer(token, outcome)
        return await asking

    async def fail(self, *tokens: str) -> None:
        for token in tokens:
            with pytest.raises(AuthUnavailableError):
                await self.exchange(token, FAILS)

    async def open(self) -> None:
        await self.fail("a1", "b1", "c1")
        assert self.guard.circuit is Circuit.OPEN

    async def begin_trial(self, clock: Clock) -> None:
        await self.open()
        await self.next_probe(clock)
        self.answer_probe(-1, alive=True)
        await until(lambda: self.guard.circuit is Circuit.TRIAL)

    async def next_probe(self, clock: Clock) -> None:
        count = len(self.probes)
        clock.put_forward(1.01)
        await until(lambda: len(self.probes) > count)


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    with loop_clock() as clock:
        yield clock


@pytest.fixture
async def auth(clock: Clock) -> AsyncIterator[Auth]:
    auth = Auth(places=10)
    yield auth
    clock.put_forward(0)
    await auth.guard.stop()


@pytest.fixture
def tasks() -> Iterator[list[asyncio.Task[Verdict]]]:
    """Questions that are not answered in a test."""
    tasks: list[asyncio.Task[Verdict]] = []
    yield tasks
    for task in tasks:
        task.cancel()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# Failures and probes.


async def test_failures_of_three_addresses_open_it(auth: Auth) -> None:
    await auth.fail("a1", "b1")
    assert (auth.guard.circuit, auth.guard.retry_after()) == (Circuit.CLOSED, 0)
    await auth.fail("c1")
    assert auth.told == ["it fails"]
    assert auth.guard.turn("z") is Turn.REFUSED
    assert auth.guard.retry_after() > 0
    assert repr(auth.guard).startswith("<Guard <AuthHealth open ")


@pytest.mark.parametrize("outcome", [SAYS_NOTHING, ExhaustionError("EMFILE")], ids=["4xx", "ours"])
async def test_what_says_nothing_about_auth_does_not_open_it(
    auth: Auth, outcome: AuthUnavailableError | ExhaustionError
) -> None:
    for address in "abcdef":
        with pytest.raises(type(outcome)):
            await auth.exchange(f"{address}1", outcome)
    assert not auth.told
    assert not auth.probes


async def test_failures_of_one_address_start_a_probe_which_decides(auth: Auth) -> None:
    await auth.fail("a1", "a2", "a3", "a4")
    await until(lambda: len(auth.probes) == 1)
    auth.answer_probe(0, alive=False)
    await until(lambda: bool(auth.told))
    assert (auth.told, auth.guard.circuit) == (["it fails"], Circuit.OPEN)


async def test_a_probe_that_is_answered_keeps_it_closed(auth: Auth, clock: Clock) -> None:
    auth.alive = True
    for number in range(100):
        await auth.fail(f"a{number}")
        clock.put_forward(0.1)
    assert not auth.told
    assert 7 <= len(auth.probes) <= 11  # one a second


async def test_a_question_that_was_given_up_says_nothing(auth: Auth) -> None:
    asking = [auth.ask(f"{address}1") for address in "abcdef"]
    await until(lambda: len(auth.questions) == 6)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    assert not auth.told
    assert not auth.probes


async def test_failures_while_the_gateway_itself_was_stopped_say_nothing(auth: Auth, clock: Clock) -> None:
    asking = [auth.ask(f"{address}1") for address in "abcdef"]
    await until(lambda: len(auth.questions) == 6)
    clock.put_forward(60)
    for address in "abcdef":
        await auth.answer(f"{address}1", FAILS)
    await asyncio.wait(asking)
    assert [isinstance(task.exception(), AuthUnavailableError) for task in asking] == [True] * 6
    assert not auth.told
    assert not auth.probes


async def test_time_waited_for_a_place_is_not_auths(clock: Clock, tasks: list[asyncio.Task[Verdict]]) -> None:
    auth = Auth(places=2)
    tasks += [auth.ask("a1"), auth.ask("b1")]
    await until(lambda: len(auth.questions) == 2)
    waiting = [auth.ask(f"{address}1") for address in "cdef"]
    await settle()
    clock.put_forward(TIMEOUT + 0.1)
    await asyncio.wait(waiting)
    assert {str(task.exception()) for task in waiting} == {"too many questions to Auth were under way"}
    assert not auth.told
    assert not auth.probes


async def test_questions_that_wait_for_a_place_are_not_asked_once_it_is_open(
    clock: Clock, tasks: list[asyncio.Task[Verdict]]
) -> None:
    del clock
    auth = Auth(places=6)
    tasks += [auth.ask(f"{address}1") for address in "abcdef"]
    await until(lambda: len(auth.questions) == 6)
    waiting = [auth.ask(f"{address}1") for address in "ghij"]
    await settle()
    for address in "abcd":
        await auth.answer(f"{address}1", FAILS)
    await asyncio.wait(waiting)
    refused = [task for task in waiting if "circuit breaker" in str(task.exception())]
    assert auth.guard.circuit is Circuit.OPEN
    assert len(auth.questions) + len(refused) == 10
    assert len(refused) >= 2
    await auth.guard.stop()


async def test_it_opens_a_second_time_with_one_probe_a_second(auth: Auth, clock: Clock) -> None:
    await auth.begin_trial(clock)
    await auth.exchange("z1", YES)
    await auth.fail("d1", "e1", "f1")
    assert auth.told == ["it fails", "", "it fails"]
    count = len(auth.probes)
    for _ in range(3):
        await auth.next_probe(clock)
        auth.answer_probe(-1, alive=False)
        await settle()
    assert len(auth.probes) == count + 3


# Open, and the trial.


async def test_it_is_probed_every_second_until_it_closes(auth: Auth, clock: Clock) -> None:
    await auth.open()
    await settle()
    assert auth.probes == []
    for count in range(1, 4):
        await auth.next_probe(clock)
        auth.answer_probe(-1, alive=False)
        await settle()
        assert (len(auth.probes), auth.guard.circuit) == (count, Circuit.OPEN)
    await auth.next_probe(clock)
    auth.answer_probe(-1, alive=True)
    await until(lambda: auth.guard.circuit is Circuit.TRIAL)
    assert await auth.exchange("z1", REFUSED) is REFUSED  # a no closes it as well
    assert (auth.told, auth.guard.circuit) == (["it fails", ""], Circuit.CLOSED)
    count = len(auth.probes)
    clock.put_forward(5)
    await settle()
    assert len(auth.probes) == count


async def test_three_newcomers_are_asked_about_one_after_the_other(auth: Auth, clock: Clock) -> None:
    await auth.begin_trial(clock)
    waiting = [auth.ask(token) for token in ("x1", "y1", "z1")]
    for number, token in enumerate(("x1", "y1", "z1")):
        await until(lambda token=token: token in auth.questions)  # type: ignore[misc] # bound now
        await settle()
        assert len(auth.questions) == 3 + number + 1
        await auth.answer(token, YES if token == "z1" else FAILS)
    await asyncio.wait(waiting)
    assert [task.exception() for task in waiting] == [FAILS, FAILS, None]
    assert auth.guard.circuit is Circuit.CLOSED


async def test_three_failures_open_it_again_until_the_next_probe(auth: Auth, clock: Clock) -> None:
    await auth.begin_trial(clock)
    await auth.fail("x1", "y1", "z1")
    assert (auth.guard.circuit, auth.told) == (Circuit.OPEN, ["it fails"])
    await auth.next_probe(clock)
    auth.answer_probe(-1, alive=True)
    await until(lambda: auth.guard.circuit is Circuit.TRIAL)


async def test_an_answer_that_cannot_be_used_does_not_close_it(auth: Auth, clock: Clock) -> None:
    await auth.begin_trial(clock)
    await auth.exchange("x1", Unusable("words"))
    assert auth.guard.circuit is Circuit.TRIAL


async def test_others_are_held_for_a_moment_and_go_on_when_it_closes(auth: Auth, clock: Clock) -> None:
    await auth.begin_trial(clock)
    first = [auth.ask(token) for token in ("x1", "y1", "z1")]
    held = [auth.ask(f"h{number}") for number in range(20)]
    await auth.answer("x1", YES)
    for token in ("y1", "z1", *(f"h{number}" for number in range(5))):
        await auth.answer(token, YES)
    assert await asyncio.gather(*first, *held[:5]) == [YES] * 8
    for task in held[5:]:
        task.cancel()


async def test_others_are_refused_if_it_does_not_close(
    auth: Auth, clock: Clock, tasks: list[asyncio.Task[Verdict]]
) -> None:
    await auth.begin_trial(clock)
    tasks += [auth.ask(token) for token in ("x1", "y1", "z1")]
    held = auth.ask("h1")
    await settle()
    clock.put_forward(MAX_HOLD_SECONDS + 0.01)
    with pytest.raises(AuthUnavailableError, match="circuit breaker"):
        await held
    assert "h1" not in auth.questions


async def test_others_are_refused_at_once_when_it_opens_again(auth: Auth, clock: Clock) -> None:
    await auth.begin_trial(clock)
    asking = [auth.ask(token) for token in ("x1", "y1", "z1")]
    held = auth.ask("h1")
    for token in ("x1", "y1", "z1"):
        await auth.answer(token, FAILS)
    with pytest.raises(AuthUnavailableError, match="circuit breaker"):
        await held
    await asyncio.wait(asking)
    assert "h1" not in auth.questions


@pytest.mark.parametrize("alive", [True, False])
async def test_one_who_comes_shortly_before_a_probe_waits_for_its_result(
    auth: Auth, clock: Clock, *, alive: bool
) -> None:
    await auth.open()
    clock.put_forward(0.8)
    held = auth.ask("h1")
    await auth.next_probe(clock)
    auth.answer_probe(-1, alive=alive)
    if alive:
        await auth.answer("h1", YES)
        assert await held is YES
    else:
        with pytest.raises(AuthUnavailableError, match="circuit breaker"):
            await held


async def test_others_may_have_a_place_in_the_next_trial(
    auth: Auth, clock: Clock, tasks: list[asyncio.Task[Verdict]]
) -> None:
    await auth.begin_trial(clock)
    tasks += [auth.ask(token) for token in ("x1", "y1", "z1")]
    held = auth.ask("h1")
    await auth.next_probe(clock)
    auth.answer_probe(-1, alive=True)
    await auth.answer("h1", YES)
    assert await held is YES
    assert auth.guard.circuit is Circuit.CLOSED


async def test_a_question_that_hangs_holds_up_a_trial_only_until_the_next_probe(
    auth: Auth, clock: Clock, tasks: list[asyncio.Task[Verdict]]
) -> None:
    await auth.begin_trial(clock)
    tasks += [auth.ask("x1"), auth.ask("x2"), auth.ask("x3")]  # x1 hangs, the others wait for it
    await until(lambda: "x1" in auth.questions)
    await auth.next_probe(clock)
    auth.answer_probe(-1, alive=True)
    await settle()
    assert await auth.exchange("z1", YES) is YES
    assert auth.guard.circuit is Circuit.CLOSED


async def test_a_probe_before_the_last_failure_does_not_begin_a_trial(auth: Auth) -> None:
    await auth.fail("a1", "a2", "a3")
    await until(lambda: len(auth.probes) == 1)
    await auth.fail("b1", "c1")
    await settle()
    assert auth.probes[0].cancelled()
    assert auth.guard.circuit is Circuit.OPEN


# Probes that hang.


async def test_probes_that_hang_do_not_delay_the_next(auth: Auth, clock: Clock) -> None:
    await auth.open()
    for _ in range(MAX_PROBES + 2):
        await auth.next_probe(clock)
    await settle()
    assert [probe.cancelled() for probe in auth.probes] == [True] * 2 + [False] * MAX_PROBES
    auth.answer_probe(4, alive=True)
    await until(lambda: auth.guard.circuit is Circuit.TRIAL)
    auth.answer_probe(3, alive=False)  # it was sent before
    await settle()
    assert auth.guard.circuit is Circuit.TRIAL
    auth.answer_probe(5, alive=False)  # it was sent later
    await until(lambda: auth.guard.circuit is Circuit.OPEN)


async def test_a_probe_while_the_gateway_was_stopped_or_exhausted_says_nothing(
    auth: Auth, clock: Clock
) -> None:
    await auth.fail("a1", "a2", "a3")
    await until(lambda: len(auth.probes) == 1)
    clock.put_forward(60)
    auth.answer_probe(0, alive=False)
    await settle()
    await auth.fail("a4", "a5", "a6")
    await until(lambda: len(auth.probes) == 2)
    auth.probes[1].set_exception(ExhaustionError("EMFILE"))
    await settle()
    assert not auth.told


# The pace.


async def test_after_it_has_closed_questions_are_paced() -> None:
    auth = Auth(places=400)
    with loop_clock() as clock:
        await auth.begin_trial(clock)
    await auth.exchange("z1", YES)
    count = len(auth.times)
    asking = [auth.ask(f"{chr(0x100 + number)}1") for number in range(200)]
    for number in range(200):
        await auth.answer(f"{chr(0x100 + number)}1", YES)
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*asking) == [YES] * 200
    times = auth.times[count:]
    assert max(sum(begin <= time < begin + 0.1 for time in times) for begin in times) <= 35
    await auth.guard.stop()


async def test_the_pace_ends(auth: Auth, clock: Clock) -> None:
    await auth.begin_trial(clock)
    await auth.exchange("z1", YES)
    clock.put_forward(11)
    asking = [auth.ask(f"{chr(0x100 + number)}1") for number in range(10)]
    await settle()
    assert len(auth.questions) == 3 + 1 + 10
    for task in asking:
        task.cancel()
