"""Steps that may have to wait: in one pass where they need not, as a coroutine from the first that must."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

import pytest
from tests.steps import settle

from memmie_gateway.core.steps import Maybe, Steps, must_wait, ready, run

T = TypeVar("T")


async def turn(value: T) -> T:
    """Answer after one turn of the loop."""
    await asyncio.sleep(0)
    return value


def later(value: T) -> Maybe[T]:
    """Make a step that answers after one turn of the loop."""
    return turn(value)


def fail_later(error: BaseException) -> Maybe[None]:
    """Make a step that fails after one turn of the loop."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise error

    return fail()


def never() -> tuple[asyncio.Future[str], Maybe[str]]:
    """Make a step that is never done; return it as the future that it is, too."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return future, future


class AwaitableObject:
    """Neither a coroutine nor a future, but it can be awaited."""

    def __await__(self) -> Generator[Any, Any, str]:
        return turn("awaited").__await__()


def both(first: Maybe[int], second: Callable[[int], Maybe[int]]) -> Steps[int]:
    """Take two steps, of which the second depends on the first."""
    taken = yield from settle(first)
    return (yield from settle(second(taken)))


def rest_of(outcome: Maybe[T]) -> Coroutine[Any, Any, T]:
    """Return the coroutine that takes the rest; there must be one."""
    assert inspect.iscoroutine(outcome)
    return outcome


# In one pass.


def test_steps_that_need_not_wait_are_taken_at_once_and_without_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    assert run(both(1, lambda taken: taken + 1)) == 2


def test_a_sequence_without_any_step() -> None:
    def nothing() -> Steps[None]:
        return
        yield

    assert run(nothing()) is None


@pytest.mark.parametrize("value", [None, 0, "", False, b"x", [], object()])
def test_any_value_is_a_value(value: object) -> None:
    assert not must_wait(value)
    assert run(settle(value)) is value


def test_an_error_of_a_step_that_need_not_wait_is_raised_at_once() -> None:
    def broken(_: int) -> int:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        run(both(1, broken))


# With something to wait for.


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(later, lambda taken: taken + 1, id="the first waits"),
        pytest.param(int, lambda taken: later(taken + 1), id="the second waits"),
        pytest.param(later, lambda taken: later(taken + 1), id="both wait"),
    ],
)
async def test_one_step_that_waits_makes_it_a_coroutine(
    first: Callable[[int], Maybe[int]], second: Callable[[int], Maybe[int]]
) -> None:
    assert await rest_of(run(both(first(1), second))) == 2


async def test_the_steps_before_the_first_wait_are_taken_at_once() -> None:
    taken: list[str] = []

    def steps() -> Steps[None]:
        taken.append((yield from settle("at once")))
        taken.append((yield from settle(later("later"))))
        taken.append((yield from settle("at once again")))

    rest = rest_of(run(steps()))
    assert taken == ["at once"]
    await rest
    assert taken == ["at once", "later", "at once again"]


async def test_anything_that_can_be_awaited_is_waited_for() -> None:
    future, _ = never()
    asyncio.get_running_loop().call_soon(future.set_result, "awaited")
    steps: tuple[Maybe[str], ...] = (future, asyncio.create_task(turn("awaited")), AwaitableObject())
    for step in steps:
        assert await rest_of(run(settle(step))) == "awaited"


# Errors and cancellations.


async def test_an_error_of_what_was_awaited_is_thrown_into_the_steps() -> None:
    def steps() -> Steps[str]:
        try:
            yield from settle(fail_later(LookupError("gone")))
        except LookupError as error:
            return (yield from settle(later(f"caught: {error}")))
        return "not caught"

    assert await rest_of(run(steps())) == "caught: gone"


async def test_an_error_that_no_step_catches_is_raised_and_the_steps_are_over() -> None:
    taken: list[str] = []

    def steps() -> Steps[None]:
        try:
            yield from settle(fail_later(LookupError("gone")))
        finally:
            taken.append("given back")

    with pytest.raises(LookupError, match="gone"):
        await rest_of(run(steps()))
    assert taken == ["given back"]


async def test_an_error_of_a_step_after_a_wait_is_raised() -> None:
    def broken(_: int) -> int:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        await rest_of(run(both(later(1), broken)))


async def test_a_cancellation_is_thrown_into_the_steps_and_into_what_they_wait_for() -> None:
    future, forever = never()
    seen: list[type[BaseException]] = []

    def steps() -> Steps[None]:
        try:
            yield from settle(forever)
        except asyncio.CancelledError as error:
            seen.append(type(error))
            raise

    task = asyncio.create_task(rest_of(run(steps())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [asyncio.CancelledError]
    assert future.cancelled()


async def test_a_cancellation_may_be_answered() -> None:
    """As the route does: it tells the client, and its task ends as if nothing had been."""
    _, forever = never()

    def steps() -> Steps[str]:
        try:
            return (yield from settle(forever))
        except asyncio.CancelledError:
            return (yield from settle(later("told")))

    task = asyncio.create_task(rest_of(run(steps())))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "told"
    assert not task.cancelled()


async def test_a_coroutine_that_is_never_started_takes_no_further_step() -> None:
    """Why it must be started even where it is cancelled: here, nothing gives back what a step has taken."""
    _, forever = never()
    given_back: list[str] = []

    def steps() -> Steps[None]:
        try:
            yield from settle(forever)
        except asyncio.CancelledError:
            given_back.append("by the step")

    running = steps()
    task = asyncio.create_task(rest_of(run(running)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given_back == []
    assert inspect.getgeneratorstate(running) == inspect.GEN_SUSPENDED


# One sequence in another.


def inner(value: Maybe[int]) -> Maybe[int]:
    """Run a sequence, as every seam does: its caller gets a value or an awaitable."""
    return run(both(value, lambda taken: taken * 10))


def outer(value: Maybe[int]) -> Steps[int]:
    first = yield from settle(inner(value))
    second = yield from both(first, lambda taken: taken + 1)  # one sequence that goes on in another
    return (yield from settle(inner(second)))


def test_nested_runs_are_taken_in_one_pass() -> None:
    assert run(outer(1)) == 110


async def test_nested_runs_wait_for_each_other() -> None:
    assert await rest_of(run(outer(later(1)))) == 110


async def test_an_error_goes_through_nested_runs() -> None:
    def gone() -> Steps[None]:
        yield from settle(fail_later(LookupError("gone")))

    def steps() -> Steps[str]:
        try:
            yield from settle(run(gone()))
        except LookupError as error:
            return f"caught: {error}"
        return "not caught"

    assert await rest_of(run(steps())) == "caught: gone"


async def test_a_cancellation_goes_through_nested_runs_from_the_inside_out() -> None:
    _, forever = never()
    given_back: list[str] = []

    def held(name: str, value: Callable[[], Maybe[str]]) -> Steps[str]:
        try:
            return (yield from settle(value()))
        finally:
            given_back.append(name)

    steps = held("outer", lambda: run(held("inner", lambda: forever)))
    task = asyncio.create_task(rest_of(run(steps)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given_back == ["inner", "outer"]


# `ready`.


async def test_ready() -> None:
    assert await ready(1) == 1
    assert await ready(later(2)) == 2
    with pytest.raises(LookupError, match="gone"):
        await ready(fail_later(LookupError("gone")))


async def test_ready_with_a_value_gives_the_loop_no_turn() -> None:
    turned: list[bool] = []
    asyncio.get_running_loop().call_soon(turned.append, True)  # noqa: FBT003 - what is appended
    value: Awaitable[int] = ready(1)
    assert await value == 1
    assert turned == []
