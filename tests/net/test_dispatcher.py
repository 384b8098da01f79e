"""Dispatch: the first backend that works, one after the other, and one backend for all connections of a user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.net.backends import names_of, pool_of, url
from tests.net.pair import Dial, StartGateway
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway.core.backends.health import Health
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import Maybe, ready, run
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dialer import BackendRefusedError, DialError, DialRefusedError
from memmie_gateway.net.backends.dispatcher import MAX_ATTEMPTS, Dispatcher
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_harness.conformance.peers import upgrade_request

TIMEOUT = 8.0

REFUSAL = Response(403, Headers(), b"banned")


class ScriptedAttempt:
    """Does on each backend what a test says: fails with an error, or returns the backend's name.

    Args:
        errors: by the backend's name.
        later: whether it has to wait for what it does.
        meanwhile: called while a backend is tried, with the backend.
    """

    def __init__(
        self,
        errors: dict[str, Exception] | None = None,
        *,
        later: bool = False,
        meanwhile: Callable[[Backend], None] | None = None,
    ) -> None:
        self._errors = errors or {}
        self._later = later
        self._meanwhile = meanwhile
        self.tried: list[str] = []
        self.seconds: list[float] = []
        self.failures: list[tuple[str, str]] = []
        self.abandoned: list[str] = []

    def on(self, backend: Backend, seconds: float) -> Maybe[str]:
        self.tried.append(backend.where.host)
        self.seconds.append(seconds)
        return self._turn(backend) if self._later else self._now(backend)

    def failed(self, backend: Backend, words: str) -> None:
        self.failures.append((backend.where.host, words))

    def abandon(self, result: str) -> None:
        self.abandoned.append(result)

    async def _turn(self, backend: Backend) -> str:
        await asyncio.sleep(0)
        return self._now(backend)

    def _now(self, backend: Backend) -> str:
        assert backend.connections > 0, "it counts as a connection while it is tried"
        if self._meanwhile is not None:
            self._meanwhile(backend)
        if (error := self._errors.get(backend.where.host)) is not None:
            raise error
        return backend.where.host


class HeldAttempt:
    """Waits on each backend until a test says how it went."""

    def __init__(self) -> None:
        self.answers: dict[str, asyncio.Future[str]] = {}
        self.abandoned: list[str] = []

    def on(self, backend: Backend, seconds: float) -> Maybe[str]:
        del seconds
        answer = self.answers[backend.where.host] = asyncio.get_running_loop().create_future()
        return answer

    def failed(self, backend: Backend, words: str) -> None:
        pass

    def abandon(self, result: str) -> None:
        self.abandoned.append(result)


def nowhere(_: str) -> None:
    """No user has a live session."""


def healthy_pool_of(*names: str) -> tuple[BackendPool, list[Backend]]:
    """Make a pool of backends that are known to work, so that none is preferred for that."""
    pool, backends = pool_of(*names)
    for backend in backends:
        backend.worked()
    return pool, backends


def nothing_is_left(dispatcher: Dispatcher, backends: list[Backend]) -> bool:
    """Tell whether nobody is bound and nothing counted any more."""
    return dispatcher._under_way == {} and not any(backend.connections for backend in backends)


def task_of(outcome: Maybe[str]) -> asyncio.Task[str]:
    """Start what has to wait, and let it come as far as it can."""
    assert isinstance(outcome, Coroutine)
    return asyncio.create_task(outcome)


BOTH_WAYS = pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])


# One client.


@BOTH_WAYS
async def test_the_first_that_works(later: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    attempt = ScriptedAttempt(later=later)
    assert await ready(run(dispatcher.dispatch("u1", attempt))) == "a"
    assert attempt.tried == ["a"]
    assert [backend.tracker.state for backend in backends] == [Health.HEALTHY, Health.UNKNOWN]
    assert nothing_is_left(dispatcher, backends)


def test_what_need_not_wait_needs_no_loop() -> None:
    pool, _ = pool_of("a")
    assert run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", ScriptedAttempt())) == "a"


@BOTH_WAYS
async def test_the_next_one_where_one_fails(later: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pool, backends = pool_of("a", "b", "c")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    attempt = ScriptedAttempt({"a": DialError("no answer"), "b": DialError("reset")}, later=later)
    assert await ready(run(dispatcher.dispatch("u1", attempt))) == "c"
    assert attempt.tried == ["a", "b", "c"]
    assert attempt.failures == [("a", "no answer"), ("b", "reset")]
    assert [(backend.failures, backend.tracker.reason) for backend in backends] == [
        (1, "no answer"), (1, "reset"), (0, ""),
    ]  # fmt: skip
    assert nothing_is_left(dispatcher, backends)


@BOTH_WAYS
async def test_none_works(later: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    attempt = ScriptedAttempt({"a": DialError("no answer"), "b": DialError("reset")}, later=later)
    with pytest.raises(RefusedError) as caught:
        await ready(run(dispatcher.dispatch("u1", attempt)))
    assert caught.value.cause is Cause.BACKEND_FAILED
    assert attempt.tried == ["a", "b"]
    assert nothing_is_left(dispatcher, backends)


def test_there_is_none() -> None:
    pool, _ = pool_of()
    attempt = ScriptedAttempt()
    with pytest.raises(RefusedError) as caught:
        run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", attempt))
    assert caught.value.cause is Cause.NO_BACKEND
    assert attempt.tried == []


def test_all_are_tried_where_all_look_bad() -> None:
    pool, backends = pool_of("a", "b")
    for backend in backends:
        backend.failed("it does not answer")
    attempt = ScriptedAttempt({"a": DialError("no")})
    assert run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", attempt)) == "b"
    for backend in backends:
        backend.failed_check("no pong", began=0)
    none = ScriptedAttempt({"a": DialError("no"), "b": DialError("no")})
    with pytest.raises(RefusedError) as caught:
        run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", none))
    assert caught.value.cause is Cause.NO_BACKEND
    assert none.tried == ["a", "b"]
    assert nothing_is_left(Dispatcher(pool, nowhere, TIMEOUT), backends)


# The time that all attempts share.


class Clock:
    """A clock that a test puts forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("names", "takes", "seconds"),
    [
        pytest.param("a", 8, [8], id="the only one has all of it"),
        pytest.param("abc", 8, [4, 2, 2], id="each but the last has half of what is left"),
        pytest.param("abc", 0, [4, 4, 8], id="those that fail at once leave their time to the next"),
        pytest.param("abc", 12, [4], id="one that overran left none to the next"),
    ],
)
def test_attempts_share_one_time_out(names: str, takes: float, seconds: list[float]) -> None:
    pool, _ = pool_of(*names)
    clock = Clock()

    def pass_the_time(_: Backend) -> None:
        clock.now += min(takes, attempt.seconds[-1]) if takes <= TIMEOUT else takes

    attempt = ScriptedAttempt({name: DialError("no answer") for name in names}, meanwhile=pass_the_time)
    with pytest.raises(RefusedError) as caught:
        run(Dispatcher(pool, nowhere, TIMEOUT, clock).dispatch("u1", attempt))
    assert caught.value.cause is Cause.BACKEND_FAILED
    assert attempt.seconds == pytest.approx(seconds)


@BOTH_WAYS
async def test_one_user_who_is_refused_everywhere_moves_nobodys_health(
    later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    pool, backends = healthy_pool_of("a", "b", "c")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    errors: dict[str, Exception] = dict.fromkeys("abc", DialRefusedError("it answered 500 to the upgrade"))
    for _ in range(50):
        attempt = ScriptedAttempt(errors, later=later)
        with pytest.raises(RefusedError) as caught:
            await ready(run(dispatcher.dispatch("u1", attempt)))
        assert caught.value.cause is Cause.BACKEND_FAILED
        assert attempt.tried == ["a", "b", "c"]
    assert all(backend.healthy and not backend.tracker.reason for backend in backends)
    assert [backend.failures for backend in backends] == [50, 50, 50]
    for number in range(2, 7):
        assert run(dispatcher.dispatch(f"u{number}", ScriptedAttempt({"a": errors["a"]}))) == "b"
    assert not backends[0].healthy, "five users are another matter"


@BOTH_WAYS
async def test_no_more_than_three_are_tried(later: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pool, _ = pool_of(*"abcdef")
    attempt = ScriptedAttempt({name: DialError("no") for name in "abcde"}, later=later)
    with pytest.raises(RefusedError) as caught:
        await ready(run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", attempt)))
    assert caught.value.cause is Cause.BACKEND_FAILED
    assert attempt.tried == ["a", "b", "c"]
    assert len(attempt.tried) == MAX_ATTEMPTS


@BOTH_WAYS
async def test_a_backend_that_refuses_the_client_is_asked_alone(
    later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Its answer is the client's, and it works: no other is asked for another opinion."""
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    attempt = ScriptedAttempt({"a": BackendRefusedError(REFUSAL)}, later=later)
    with pytest.raises(RefusedError) as caught:
        await ready(run(dispatcher.dispatch("u1", attempt)))
    assert (caught.value.cause, caught.value.response) == (Cause.BACKEND_REFUSED, REFUSAL)
    assert caught.value.__cause__ is None
    assert str(caught.value) == "the backend answered 403"
    assert (attempt.tried, attempt.failures) == (["a"], [])
    assert backends[0].tracker.state is Health.HEALTHY
    assert nothing_is_left(dispatcher, backends)


@BOTH_WAYS
async def test_exhaustion_counts_against_no_backend(later: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """It may be one of ports towards this backend, so the next one is tried."""
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    attempt = ScriptedAttempt({"a": ExhaustionError("no ports")}, later=later)
    assert await ready(run(dispatcher.dispatch("u1", attempt))) == "b"
    assert attempt.failures == []
    assert (backends[0].failures, backends[0].tracker.state) == (0, Health.UNKNOWN)
    assert nothing_is_left(dispatcher, backends)


@pytest.mark.parametrize(
    "errors",
    [
        {"a": ExhaustionError("no ports"), "b": ExhaustionError("no ports")},
        {"a": ExhaustionError("no ports"), "b": DialError("reset")},
        {"a": DialError("reset"), "b": ExhaustionError("no ports")},
    ],
)
def test_exhaustion_is_what_the_client_hears_of(errors: dict[str, Exception]) -> None:
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    with pytest.raises(RefusedError) as caught:
        run(dispatcher.dispatch("u1", ScriptedAttempt(errors)))
    assert (caught.value.cause, str(caught.value)) == (Cause.GATEWAY_FULL, "no ports")
    assert nothing_is_left(dispatcher, backends)


@pytest.mark.parametrize(
    ("error", "cause", "noted"),
    [
        (ExhaustionError("no ports"), Cause.GATEWAY_FULL, []),
        (DialError("reset"), Cause.BACKEND_FAILED, [("a", "reset")]),
    ],
)
def test_no_other_backend_is_tried_for_a_connection_that_one_knows(
    error: Exception, cause: Cause, noted: list[tuple[str, str]]
) -> None:
    pool, backends = pool_of("a", "b")
    dispatcher, attempt = Dispatcher(pool, nowhere, TIMEOUT), ScriptedAttempt({"a": error})
    with pytest.raises(RefusedError) as caught:
        run(dispatcher.dispatch_to(backends[0], "u1", attempt))
    assert (caught.value.cause, str(caught.value)) == (cause, str(error))
    assert (attempt.tried, attempt.failures) == (["a"], noted)
    assert nothing_is_left(dispatcher, backends)


@BOTH_WAYS
async def test_another_error_is_not_the_dispatchers(later: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    with pytest.raises(LookupError):
        await ready(run(dispatcher.dispatch("u1", ScriptedAttempt({"a": LookupError()}, later=later))))
    assert nothing_is_left(dispatcher, backends)


async def test_a_cancelled_attempt_binds_nobody() -> None:
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    attempt = HeldAttempt()
    task = task_of(run(dispatcher.dispatch("u1", attempt)))
    await asyncio.sleep(0)
    assert backends[0].connections == 1
    assert repr(dispatcher) == "<Dispatcher under_way=1>"
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert nothing_is_left(dispatcher, backends)


# Many connections of one user.


def test_a_live_session_binds() -> None:
    pool, (_, b, _) = healthy_pool_of("a", "b", "c")
    dispatcher = Dispatcher(pool, lambda user_id: b if user_id == "u1" else None, TIMEOUT)
    assert run(dispatcher.dispatch("u1", ScriptedAttempt())) == "b"
    assert run(dispatcher.dispatch("u2", ScriptedAttempt())) == "a"


def test_a_live_session_binds_more_than_an_attempt() -> None:
    pool, (_, b, c) = pool_of("a", "b", "c")
    dispatcher = Dispatcher(pool, lambda _: b, TIMEOUT)
    dispatcher.joined("u1", c)
    attempt = ScriptedAttempt()
    assert run(dispatcher.dispatch("u1", attempt)) == "b"
    assert attempt.tried == ["b"]


def test_the_last_attempt_under_way_binds() -> None:
    pool, (a, b, c) = healthy_pool_of("a", "b", "c")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    dispatcher.joined("u1", b)
    dispatcher.joined("u1", c)
    assert run(dispatcher.dispatch("u1", ScriptedAttempt())) == "c"
    dispatcher.left("u1", b)
    assert run(dispatcher.dispatch("u1", ScriptedAttempt())) == "c"
    assert run(dispatcher.dispatch("u2", ScriptedAttempt())) == "a"
    dispatcher.left("u1", c)
    assert run(dispatcher.dispatch("u1", ScriptedAttempt())) == "a"
    assert nothing_is_left(dispatcher, [a, b, c])


async def test_an_attempt_under_way_binds_the_users_next_one() -> None:
    pool, backends = pool_of("a", "b")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    first, second, other = HeldAttempt(), HeldAttempt(), HeldAttempt()
    backends[0].failed("it does not answer")
    tasks = [task_of(run(dispatcher.dispatch("u1", first)))]
    backends[0].worked()  # the better choice by now
    backends[1].worked()
    tasks += [task_of(run(dispatcher.dispatch("u1", second))), task_of(run(dispatcher.dispatch("u2", other)))]
    await asyncio.sleep(0)
    assert [list(attempt.answers) for attempt in (first, second, other)] == [["b"], ["b"], ["a"]]
    assert repr(dispatcher) == "<Dispatcher under_way=3>"
    for attempt in (first, second, other):
        for name, answer in attempt.answers.items():
            answer.set_result(name)
    assert await asyncio.gather(*tasks) == ["b", "b", "a"]
    assert nothing_is_left(dispatcher, backends)


@BOTH_WAYS
async def test_a_result_is_abandoned_where_the_user_lives_elsewhere_by_now(
    later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    pool, backends = pool_of("a", "b", "c")
    homes: dict[str, Backend] = {}

    clock = Clock()

    def settle_at_c(_: Backend) -> None:
        homes["u1"] = backends[2]
        clock.now += TIMEOUT / 2

    dispatcher = Dispatcher(pool, homes.get, TIMEOUT, clock)
    attempt = ScriptedAttempt(later=later, meanwhile=settle_at_c)
    assert await ready(run(dispatcher.dispatch("u1", attempt))) == "c"
    assert attempt.seconds[1] == TIMEOUT, "c is not late because of a"
    assert attempt.tried == ["a", "c"], "b is not tried: the user lives at c"
    assert (attempt.abandoned, attempt.failures) == (["a"], [])
    assert backends[0].tracker.state is Health.HEALTHY
    assert nothing_is_left(dispatcher, backends)


@BOTH_WAYS
async def test_a_result_is_kept_where_the_user_lives_there_by_now(
    later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    pool, _ = pool_of("a", "b")
    homes: dict[str, Backend] = {}
    dispatcher = Dispatcher(pool, homes.get, TIMEOUT)
    attempt = ScriptedAttempt(later=later, meanwhile=lambda backend: homes.update(u1=backend))
    assert await ready(run(dispatcher.dispatch("u1", attempt))) == "a"
    assert attempt.abandoned == []


def test_a_result_is_kept_where_the_user_lives_at_one_that_has_failed() -> None:
    """It was tried before, for this very client."""
    pool, (a, _) = pool_of("a", "b")
    homes: dict[str, Backend] = {}
    dispatcher = Dispatcher(pool, homes.get, TIMEOUT)
    attempt = ScriptedAttempt({"a": DialError("reset")}, meanwhile=lambda _: homes.update(u1=a))
    assert run(dispatcher.dispatch("u1", attempt)) == "b"
    assert attempt.abandoned == []


def test_a_home_that_fails_is_the_last_one_tried() -> None:
    pool, (_, b, _) = pool_of("a", "b", "c")
    homes: dict[str, Backend] = {}
    dispatcher = Dispatcher(pool, homes.get, TIMEOUT)
    attempt = ScriptedAttempt({"b": DialError("reset")}, meanwhile=lambda _: homes.update(u1=b))
    with pytest.raises(RefusedError) as caught:
        run(dispatcher.dispatch("u1", attempt))
    assert caught.value.cause is Cause.BACKEND_FAILED
    assert (attempt.tried, attempt.abandoned) == (["a", "b"], ["a"])


async def test_a_connection_follows_one_that_was_faster(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Both begin at the same backend; the first is dropped there and lives at the other, before the second is answered."""
    async with ScriptedStudio() as other:
        gateway = await start_gateway(STUDIO_WS_URLS=f"{studio.url},{other.url}", LB_STRATEGY="round_robin")
        first, second = await dial(gateway), await dial(gateway)
        first.write(upgrade_request(auth.mint("u1")))
        dropped = await studio.arrival()
        second.write(upgrade_request(auth.mint("u1")))
        slow = await studio.arrival()

        dropped.reset()
        accept(await other.arrival())
        assert (await first.read_head()).status == 101

        accept(slow)
        accept(await other.arrival())
        assert (await second.read_head()).status == 101
        homes = {session.backend.url for session in gateway.parts.sessions}
        assert homes == {other.url}


# While backends come and go.


def take_out(pool: BackendPool, *names: str) -> Callable[[Backend], None]:
    """Return what leaves only these backends in use."""
    return lambda _: (pool.update(map(url, names)), None)[1]


@BOTH_WAYS
async def test_one_that_was_taken_out_meanwhile_is_not_tried(
    later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    pool, backends = pool_of("a", "b", "c")
    attempt = ScriptedAttempt({"a": DialError("reset")}, later=later, meanwhile=take_out(pool, "a", "c"))
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    assert await ready(run(dispatcher.dispatch("u1", attempt))) == "c"
    assert attempt.tried == ["a", "c"]
    assert nothing_is_left(dispatcher, backends)


def test_all_others_were_taken_out_meanwhile() -> None:
    pool, _ = pool_of("a", "b", "c")
    attempt = ScriptedAttempt({"a": DialError("reset")}, meanwhile=take_out(pool, "a"))
    with pytest.raises(RefusedError) as caught:
        run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", attempt))
    assert caught.value.cause is Cause.BACKEND_FAILED
    assert attempt.tried == ["a"]


@BOTH_WAYS
async def test_one_that_is_taken_out_while_it_is_tried_retires_with_the_session(
    later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    pool, (a, _) = pool_of("a", "b")
    attempt = ScriptedAttempt(later=later, meanwhile=take_out(pool, "b"))
    assert await ready(run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", attempt))) == "a"
    a.joined()  # as the session does, right away
    assert names_of(pool) == ["b", "a"]


def test_a_result_is_kept_where_the_user_lives_at_one_that_was_taken_out() -> None:
    pool, (_, b) = pool_of("a", "b")
    homes: dict[str, Backend] = {}

    def meanwhile(_: Backend) -> None:
        homes["u1"] = b
        b.joined()
        pool.update([url("a")])

    attempt = ScriptedAttempt(meanwhile=meanwhile)
    assert run(Dispatcher(pool, homes.get, TIMEOUT).dispatch("u1", attempt)) == "a"
    assert attempt.abandoned == []


def test_a_dispatcher_remembers_no_user() -> None:
    pool, backends = pool_of("a")
    dispatcher = Dispatcher(pool, nowhere, TIMEOUT)
    outcomes: list[Any] = [run(dispatcher.dispatch(f"u{number}", ScriptedAttempt())) for number in range(100)]
    assert set(outcomes) == {"a"}
    assert nothing_is_left(dispatcher, backends)


@BOTH_WAYS
async def test_what_came_instead_of_one_that_was_taken_out_meanwhile_is_tried(later: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pool, _ = pool_of("a", "b")

    def replace(_: Backend) -> None:
        pool.update([url("a"), url("c")])

    attempt = ScriptedAttempt({"a": DialError("it is down")}, later=later, meanwhile=replace)
    assert await ready(run(Dispatcher(pool, nowhere, TIMEOUT).dispatch("u1", attempt))) == "c"
    assert attempt.tried == ["a", "c"]
