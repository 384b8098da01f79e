"""Large JSON texts without the garbage collector, which would look at all values of the text again and again."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final, TypeVar

LARGE: Final = 8 * 1024
"""Number of characters from which a text is large. One megabyte of JSON takes tens of milliseconds, in which others wait."""

T = TypeVar("T")


def translated(translate: Callable[[str], T], text: str) -> T:
    """Call a function that reads a JSON text, and keeps none of its values.

    All values of a text are freed when it was read, and they do not refer to each other in a circle. But if there are many,
    the collector runs meanwhile, and takes longer than the reading.
    """
    if len(text) < LARGE or not gc.isenabled():
        return translate(text)
    gc.disable()
    try:
        return translate(text)
    finally:
        gc.enable()
