"""The stack that a test requests by `@pytest.mark.memmie(studios=3, env={…})`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

DEFAULT_STUDIOS: Final = 2
"""How many Studios a test has without a mark."""

DEFAULT_TARGET: Final = "process"
"""The gateway under test without a mark and without `--memmie-target`."""

HELP: Final = (
    f"memmie(studios={DEFAULT_STUDIOS}, env={{}}, target={DEFAULT_TARGET!r}): studios is the number of Studios for the "
    "test's gateway. env contains settings of the gateway, such as env={'MAX_CONNECTIONS_PER_USER': 1}. target is "
    "'process' or 'inprocess', for runs without --memmie-target. A test can have several marks: of its "
    "function, of its class and of its module. `studios` and `target` come from the closest mark that has them, and so "
    "does each setting in `env`. The function's mark is the closest, then the class's, then the module's."
)
"""The mark's line in `pytest --markers`."""


@dataclass(frozen=True, slots=True)
class StackRequest:
    """The stack of one test.

    Attributes:
        studios: how many Studios are started.
        env: settings of the gateway in addition to the harness's own.
        target: the kind of gateway if the command line does not choose one: "process" or "inprocess".
    """

    studios: int
    env: Mapping[str, str]
    target: str = DEFAULT_TARGET

    @property
    def has_own_stack(self) -> bool:
        """Whether the test needs other Studios or settings than the default ones."""
        return (self.studios, self.env) != (DEFAULT.studios, DEFAULT.env)


DEFAULT: Final = StackRequest(studios=DEFAULT_STUDIOS, env={})
"""The stack of a test without a mark."""


def read_marks(marks: Iterable[pytest.Mark]) -> StackRequest:
    """Merge a test's marks.

    Args:
        marks: the marks, nearest first, as `Node.iter_markers` yields them.

    Raises:
        ValueError: a mark has an unknown or invalid argument; the message names it.
    """
    merged: dict[str, Any] = {"studios": DEFAULT_STUDIOS, "env": {}, "target": DEFAULT_TARGET}
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
            merged[name] = {**merged[name], **value} if name == "env" else value
    env = {name: str(value) for name, value in merged["env"].items()}
    return StackRequest(studios=merged["studios"], env=env, target=merged["target"])


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_environment(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(setting, str | int | float) for name, setting in value.items()
    )


_TARGETS: Final = ("process", "inprocess")

_CHECKS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "studios": (_is_count, "a number of Studios, 0 or more"),
    "env": (
        _is_environment,
        "a dict in which each key is the name of a setting and each value is text or a number",
    ),
    "target": (_TARGETS.__contains__, "'process' or 'inprocess'"),
}
"""The arguments of a mark: the check of each, and the words for what passes it."""
