"""Types of option values, for argparse's `type=`."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Final

MOST_SECONDS: Final = 24 * 3600

MOST_CONNECTIONS: Final = 25_000
"""One address has not many more ports towards another."""


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers between two bounds."""

    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else least - 1
        if not least <= number <= most:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return number

    return read


def seconds(text: str) -> float:
    """Read a duration in seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= MOST_SECONDS:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to {MOST_SECONDS}")
    return number
