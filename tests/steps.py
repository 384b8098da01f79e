"""A step as admission and dispatch take it: waited for only if it has to be."""

from __future__ import annotations

from typing import TypeVar

from memmie_gateway.core.steps import Maybe, Steps, must_wait

T = TypeVar("T")


def settle(value: Maybe[T]) -> Steps[T]:
    """Return the value of a step: `value = yield from settle(step())`."""
    return (yield value) if must_wait(value) else value
