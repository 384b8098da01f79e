"""Steps that are synchronous until one has to wait.

A step returns its value, or an awaitable of it. A sequence of steps is a generator that yields only the awaitables.
`run` executes it synchronously until the first awaitable, and only the rest needs a task. So the same sequence serves
the usual case, in which nothing has to wait, and the case in which Auth, a store or a backend must be asked.

```python
def admit(self, arrival: Arrival) -> Maybe[Admitted]:
    return run(self._steps(arrival))

def _steps(self, arrival: Arrival) -> Steps[Admitted]:
    slot = yield from settle(self._slots.acquire(arrival.client.limit_key, 10))
    ...
```
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeAlias, TypeVar, cast

T = TypeVar("T")

Maybe: TypeAlias = T | Awaitable[T]
"""A value, or an awaitable that returns one."""

Steps: TypeAlias = Generator[Awaitable[Any], Any, T]
"""A sequence of steps that ends with a value."""


def settle(value: Maybe[T]) -> Steps[T]:
    """Wait for the value of a step only if it is an awaitable, and return it.

    A sequence of steps calls it as `value = yield from settle(step())`.
    """
    if hasattr(value, "__await__"):
        return cast("T", (yield value))
    return value


def run(steps: Steps[T]) -> T | Coroutine[Any, Any, T]:
    """Execute the steps until one has to wait; return their value, or a coroutine that executes the rest.

    The coroutine must be started even if it is to be cancelled, because otherwise no step can handle the cancellation.
    """
    try:
        awaited = next(steps)
    except StopIteration as done:
        return cast("T", done.value)
    return _take_the_rest(steps, awaited)


async def _take_the_rest(steps: Steps[T], awaited: Awaitable[Any]) -> T:
    try:
        while True:
            try:
                value = await awaited
            except BaseException as error:  # noqa: BLE001 - the steps handle a cancellation, too
                awaited = steps.throw(error)
            else:
                awaited = steps.send(value)
    except StopIteration as done:
        return cast("T", done.value)


async def ready(value: Maybe[T]) -> T:
    """Wait for a value only if it is an awaitable. This is `settle` for coroutines."""
    return cast("T", await value if hasattr(value, "__await__") else value)
