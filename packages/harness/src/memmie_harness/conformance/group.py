"""Declaring tests: a group has a name, and its decorators make one test of a function, or one of each row of a table."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import ConformanceTest, Level
from memmie_harness.conformance.offers import OFFERS

MUST: Final = Level.MUST
SHOULD: Final = Level.SHOULD
FEATURE: Final = Level.FEATURE

Body = Callable[..., Awaitable[None]]
"""A test: it gets a `Lab`, and the values of its row if it has one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One test of several with the same body.

    Attributes:
        name: the part of its id after the slash.
        title: what a gateway does that passes.
        values: more arguments of the body.
        level: its level, if it is not that of the table.
        rule: its rule, if it is not that of the table.
    """

    name: str
    title: str
    values: tuple[Any, ...] = ()
    level: Level | None = None
    rule: str | None = None


def row(name: str, title: str, *values: Any, level: Level | None = None, rule: str | None = None) -> Row:
    """Return a row; see `Row`."""
    return Row(name, title, values, level, rule)


@dataclass(frozen=True, slots=True)
class Group:
    """The tests about one thing.

    Attributes:
        name: the first part of their ids.
        title: what they are about.
        needs: what all of them need.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    tests: list[ConformanceTest] = field(default_factory=list)

    def test(
        self,
        name: str,
        title: str,
        *,
        level: Level,
        rule: str,
        needs: Iterable[str] = (),
        own_gateway: bool = False,
        seconds: float = 30.0,
    ) -> Callable[[Body], Body]:
        """Make a test of a coroutine function; see `ConformanceTest` for the arguments."""
        return self.table(
            level=level,
            rule=rule,
            needs=needs,
            own_gateway=own_gateway,
            seconds=seconds,
            rows=[Row(name, title)],
        )

    def table(
        self,
        *,
        rows: Iterable[Row],
        level: Level,
        rule: str,
        needs: Iterable[str] = (),
        own_gateway: bool = False,
        seconds: float = 30.0,
    ) -> Callable[[Body], Body]:
        """Make a test of each row; the function gets the values of the row after the `Lab`."""
        wanted = frozenset((*self.needs, *needs))
        unknown = wanted - OFFERS.keys()
        if unknown:
            raise ValueError(
                f"group {self.name}: a test needs {', '.join(sorted(unknown))}; no profile can offer this"
            )

        def declare(body: Body) -> Body:
            for each in rows:
                self.tests.append(
                    ConformanceTest(
                        id=f"{self.name}/{each.name}",
                        title=each.title,
                        rule=each.rule or rule,
                        level=each.level or level,
                        needs=wanted,
                        body=functools.partial(_run, body, each.values),
                        own_gateway=own_gateway,
                        seconds=seconds,
                    )
                )
            return body

        return declare


async def _run(body: Body, values: tuple[Any, ...], lab: Lab) -> None:
    await body(lab, *values)
