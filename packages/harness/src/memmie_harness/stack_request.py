"""The stack that a test requests by `@pytest.mark.memmie(studios=3, env={…})`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

DEFAULT_STUDIOS: Final = 2
"""How many Studios a test has without a mark."""

HELP: Final = (
    f"memmie(studios={DEFAULT_STUDIOS}, env={{}}): how many Studios the test's gateway has, and settings of the "
    "gateway, as in env={'MAX_CONNECTIONS_PER_USER': 1}. The nearest mark wins; env is merged from all marks."
)
"""The mark's line in `pytest --markers`."""


@dataclass(frozen=True, slots=True)
class StackRequest:
    """The stack of one test.

    Attributes:
        studios: how many Studios are started.
        env: settings of the gateway in addition to the harness's own.
    """

    studios: int
    env: Mapping[str, str]


DEFAULT: Final = StackRequest(studios=DEFAULT_STUDIOS, env={})
"""The stack of a test without a mark."""


def read_marks(marks: Iterable[pytest.Mark]) -> StackRequest:
    """Merge a test's marks.

    Args:
        marks: the marks, nearest first, as `Node.iter_markers` yields them.

    Raises:
        ValueError: a mark has an unknown or invalid argument; the message names it.
    """
    merged: dict[str, Any] = {"studios": DEFAULT_STUDIOS, "env": {}}
    for mark in reversed(list(marks)):
        if mark.args:
            raise ValueError(
                f"mark memmie takes only keyword arguments, such as memmie(studios=3), not {mark.args[0]!r}"
            )
        for name, value in mark.kwargs.items():
            if name not in _CHECKS:
                raise ValueError(f"mark memmie has the arguments {' and '.join(_CHECKS)}, not {name!r}")
            fits, wanted = _CHECKS[name]
            if not fits(value):
                raise ValueError(f"mark memmie: {name} must be {wanted}, not {value!r}")
            merged[name] = {**merged[name], **value} if name == "env" else value
    env = {name: str(value) for name, value in merged["env"].items()}
    return StackRequest(studios=merged["studios"], env=env)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_environment(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(setting, str | int | float) for name, setting in value.items()
    )


_CHECKS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "studios": (_is_count, "a number of Studios, 0 or more"),
    "env": (_is_environment, "a dict of setting name to text or number"),
}
"""The arguments of a mark: the check of each, and the words for what passes it."""
