"""Steps that are synchronous until one has to wait.

A step returns its value, or an awaitable of it. A sequence of steps is a generator that yields only the awaitables.
`run` executes it synchronously until the first awaitable, and only the rest needs a task. So the same sequence serves
the usual case, in which nothing has to wait, and the case in which Auth, a store or a backend must be asked.

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
"""A value, or an awaitable that returns one."""

Steps: TypeAlias = Generator[Awaitable[Any], Any, T]
"""A sequence of steps that ends with a value."""


def must_wait(value: Maybe[T]) -> TypeIs[Awaitable[T]]:
    """Tell whether a step has to be waited for. Each connection has a dozen steps, so this must be cheap."""
    return hasattr(value, "__await__")


def run(steps: Steps[T]) -> T | Coroutine[Any, Any, T]:
    """Execute the steps until one has to wait; return their value, or a coroutine that executes the rest.

    The coroutine must be started even if it is to be cancelled, because otherwise no step can handle the cancellation.
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
            except BaseException as error:  # noqa: BLE001 - the steps handle a cancellation, too
                awaited = steps.throw(error)
            else:
                awaited = steps.send(result)
    except StopIteration as done:
        value: T = done.value
        return value


async def ready(value: Maybe[T]) -> T:
    """Wait for a value only if it is an awaitable. Coroutines use this instead of steps."""
    return await value if must_wait(value) else value
