"""Steps that may have to wait: each returns its value, or an awaitable where something must be asked first.

A sequence of steps is a generator that yields only what it has to wait for. `run` goes through it in one pass until
the first such step, and only the rest needs a task. So one sequence serves both the usual case, where everything is
known, and the case where Auth, a store or a backend has to be asked.

```python
def admit(self, arrival: Arrival) -> Steps[Admitted]:
    asked = self._slots.acquire(arrival.client.limit_key, 10)
    slot = (yield asked) if must_wait(asked) else asked
    ...

def serve(self, arrival: Arrival) -> Steps[None]:
    admitted = yield from self.admit(arrival)  # a sequence goes on in another
    ...
```
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # in typing from Python 3.13 on

T = TypeVar("T")

Maybe: TypeAlias = T | Awaitable[T]
"""A value, or an awaitable of it."""

Steps: TypeAlias = Generator[Awaitable[Any], Any, T]
"""A sequence of steps that ends with a value."""


def must_wait(value: Maybe[T]) -> TypeIs[Awaitable[T]]:
    """Tell whether a step has to be waited for. Each connection passes a dozen, so this is as cheap as can be."""
    return hasattr(value, "__await__")


def run(steps: Steps[T]) -> T | Coroutine[Any, Any, T]:
    """Take the steps until one has to wait; return their value, or a coroutine that takes the rest.

    The coroutine must be started even if it is cancelled: until then, no step learns of the cancellation.
    """
    try:
        awaited = next(steps)
    except StopIteration as done:
        value: T = done.value
        return value
    return _take_the_rest(steps, awaited)


async def _take_the_rest(steps: Steps[T], awaited: Awaitable[Any]) -> T:
    try:
        while True:
            try:
                result = await awaited
            except BaseException as error:  # noqa: BLE001 - a cancellation is the steps' to handle, too
                awaited = steps.throw(error)
            else:
                awaited = steps.send(result)
    except StopIteration as done:
        value: T = done.value
        return value


async def ready(value: Maybe[T]) -> T:
    """Wait for a value only if it is an awaitable: for coroutines, which have no use for steps."""
    return await value if must_wait(value) else value
