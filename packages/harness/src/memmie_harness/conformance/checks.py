"""Checks of a test: each raises a `Violation` that says what was expected and seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.transcript import escape


async def together(*coroutines: Awaitable[object]) -> None:
    """Run coroutines at the same time; the first violation ends all of them."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def equal(what: str, seen: object, expected: object) -> None:
    """Raise a `Violation` unless both are equal; `what` names the thing that is compared."""
    if seen != expected:
        raise Violation(f"{what} is {_shown(expected)}", _shown(seen))


def true(expected: str, condition: object, seen: object) -> None:
    """Raise a `Violation` with what was expected and seen unless the condition holds."""
    if not condition:
        raise Violation(expected, _shown(seen))


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return f'"{escape(value)}"'
    return value if isinstance(value, str) else repr(value)
