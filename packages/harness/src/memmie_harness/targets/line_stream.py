"""A text stream that passes on what is written to it, line by line."""

from __future__ import annotations

import io
from collections.abc import Callable


class LineStream(io.TextIOBase):
    """A stand-in for standard output; it is not a terminal, so a log that is written to it has no colours.

    Args:
        on_line: called with each complete line, without its line end.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self._on_line = on_line
        self._incomplete = ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, /) -> int:
        """Pass on the lines that are complete with `text`, and keep the rest."""
        *lines, self._incomplete = (self._incomplete + text).split("\n")
        for line in lines:
            self._on_line(line)
        return len(text)
