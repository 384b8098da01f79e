"""Reads without regard to others."""

from __future__ import annotations

from typing import TypeVar

from memmie_gateway.core.socketio.json_text import Slices

T = TypeVar("T")


def read(slices: Slices[T]) -> T:
    """Return the value at the end of the slices."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            value: T = done.value
            return value
