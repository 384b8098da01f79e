"""Records: immutable values whose fields are read often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Make a dataclass with slots that nobody changes; type checkers enforce this, but the interpreter does not.

    Each connection makes a dozen records and reads their fields a hundred times. To read a field of a `NamedTuple` takes
    ten times as long, and so does making a frozen dataclass (CPython 3.11).
    """
    return dataclass(slots=True)(cls)
