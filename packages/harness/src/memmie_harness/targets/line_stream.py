"""A text stream that hands on what is written to it, line by line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class LineStream(io.TextIOBase):
    """Takes the place of standard output for one who writes a log; it is never a terminal, so gets no colours.

    Args:
        on_line: Called with each whole line, without its line end.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self._on_line = on_line
        self._begun = ""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str, /) -> int:
        """Hand on the lines that end in `text`; the rest waits for its own end."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._on_line(line)
        return len(text)
