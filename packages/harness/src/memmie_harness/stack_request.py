"""``@pytest.mark.memmie(studios=3, env={…})``: what stack a test asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pytest

DEFAULT_STUDIOS = 2

HELP = (
    f"memmie(studios={DEFAULT_STUDIOS}, env={{}}): how many Studios the test's gateway has, and settings of the "
    "gateway, as in env={'MAX_CONNECTIONS_PER_USER': 1}. Nearer marks win over farther ones, env is merged."
)


@dataclass(frozen=True, slots=True)
class StackRequest:
    """The stack one test asks for.

    Attributes:
        studios: How many Studios are started.
        env: The gateway's settings that differ from the harness's own.
    """

    studios: int
    env: Mapping[str, str]


DEFAULT = StackRequest(studios=DEFAULT_STUDIOS, env={})
"""What a test without a mark gets."""


def read_marks(marks: Iterable[pytest.Mark]) -> StackRequest:
    """Merge a test's marks, nearest first (as ``Node.iter_markers`` gives them).

    Raises:
        ValueError: A mark says what the harness does not understand; the message names it.
    """
    merged: dict[str, Any] = {"studios": DEFAULT_STUDIOS, "env": {}}
    for mark in reversed(list(marks)):
        if mark.args:
            raise ValueError(
                f"mark memmie takes names only, as in memmie(studios=3); given: {mark.args[0]!r}"
            )
        for name, value in mark.kwargs.items():
            if name not in _CHECKS:
                raise ValueError(f"mark memmie knows {' and '.join(_CHECKS)}, not {name!r}")
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


_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "studios": (_is_count, "a number of Studios, 0 or more"),
    "env": (_is_environment, "a dict of setting name to text or number"),
}
