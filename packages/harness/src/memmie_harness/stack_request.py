"""The stack that a test requests by `@pytest.mark.memmie(studios=3, env={…})`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

DEFAULT_STUDIOS: Final = 2
"""How many Studios a test has without a mark."""

DEFAULT_TARGET: Final = "process"
"""The gateway under test without a mark and without `--memmie-target`."""

HELP: Final = (
    f"memmie(studios={DEFAULT_STUDIOS}, env={{}}, target={DEFAULT_TARGET!r}, needs=[]): studios is the number of Studios for the "
    "test's gateway. env contains settings of the gateway, such as env={'MAX_CONNECTIONS_PER_USER': 1}. target is "
    "'process' or 'inprocess', for runs without --memmie-target. needs contains names of offers of docs/conformance.md, "
    "such as needs=['drain']; the test is skipped if the gateway does not offer them. A test can have several marks: of its "
    "function, of its class and of its module. `studios` and `target` come from the closest mark that has them, and so "
    "does each setting in `env`; `needs` comes from all. The function's mark is the closest, then the class's, then the module's."
)
"""The mark's line in `pytest --markers`."""


@dataclass(frozen=True, slots=True)
class StackRequest:
    """The stack of one test.

    Attributes:
        studios: how many Studios are started.
        env: settings of the gateway in addition to the harness's own.
        target: the kind of gateway if the command line does not choose one: "process" or "inprocess".
        needs: names of offers (`memmie_harness.conformance.offers`) that the gateway must have, or the test is skipped.
        any_studios: no mark says how many Studios are started, so another number will do.
    """

    studios: int
    env: Mapping[str, str]
    target: str = DEFAULT_TARGET
    needs: frozenset[str] = frozenset()
    any_studios: bool = field(default=False, compare=False)

    @property
    def has_own_stack(self) -> bool:
        """Whether the test needs other Studios or settings than the default ones."""
        return (self.studios, self.env) != (DEFAULT.studios, DEFAULT.env)


DEFAULT: Final = StackRequest(studios=DEFAULT_STUDIOS, env={}, any_studios=True)
"""The stack of a test without a mark."""


def read_marks(marks: Iterable[pytest.Mark]) -> StackRequest:
    """Merge a test's marks.

    Args:
        marks: the marks, nearest first, as `Node.iter_markers` yields them.

    Raises:
        ValueError: a mark has an unknown or invalid argument; the message names it.
    """
    merged: dict[str, Any] = {"studios": None, "env": {}, "target": DEFAULT_TARGET, "needs": ()}
    for mark in reversed(list(marks)):
        if mark.args:
            raise ValueError(
                f"mark memmie takes only keyword arguments, such as memmie(studios=3); {mark.args[0]!r} has no keyword"
            )
        for name, value in mark.kwargs.items():
            if name not in _CHECKS:
                raise ValueError(f"mark memmie has no argument {name!r}; allowed: {', '.join(_CHECKS)}")
            fits, wanted = _CHECKS[name]
            if not fits(value):
                raise ValueError(f"mark memmie: {name} must be {wanted}; {value!r} is given")
            if name == "env":
                merged[name] = {**merged[name], **value}
            elif name == "needs":
                merged[name] = (*merged[name], *value)
            else:
                merged[name] = value
    studios = merged["studios"]
    return StackRequest(
        studios=DEFAULT_STUDIOS if studios is None else studios,
        env={name: str(value) for name, value in merged["env"].items()},
        target=merged["target"],
        needs=frozenset(merged["needs"]),
        any_studios=studios is None,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_environment(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(setting, str | int | float) for name, setting in value.items()
    )


def _is_offers(value: object) -> bool:
    # Only for tests that have this, because pytest imports this module in every run.
    from memmie_harness.conformance.offers import OFFERS  # noqa: PLC0415

    return isinstance(value, list | tuple | set | frozenset) and all(name in OFFERS for name in value)


_TARGETS: Final = ("process", "inprocess")

_CHECKS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "studios": (_is_count, "a number of Studios, 0 or more"),
    "env": (
        _is_environment,
        "a dict in which each key is the name of a setting and each value is text or a number",
    ),
    "target": (_TARGETS.__contains__, "'process' or 'inprocess'"),
    "needs": (_is_offers, "a list of names of offers from docs/conformance.md"),
}
"""The arguments of a mark: the check of each, and the words for what passes it."""
