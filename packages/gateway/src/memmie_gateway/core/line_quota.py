"""A limit on log lines about one key, such as the refusals of one address."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class LineQuota(Generic[T]):
    """Decides which lines are written, so that nobody can fill the log.

    In each window, the first lines of a key are written. At the end of the window, one more line stands for all others.

    Args:
        most: number of lines of one key that are written in a window.
    """

    __slots__ = ("_counts", "_last", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[str, int] = {}
        self._last: dict[str, T] = {}

    def __repr__(self) -> str:
        return f"<LineQuota keys={len(self._counts)}>"

    def admits(self, key: str, line: T) -> bool:
        """Count a line, and tell whether it is written now."""
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count <= self._most:
            return True
        self._last[key] = line
        return False

    def end_window(self) -> list[tuple[T, int]]:
        """Return the last line of each key that was not written, with the number of lines that it stands for."""
        held = [(line, self._counts[key] - self._most) for key, line in self._last.items()]
        self._counts.clear()
        self._last.clear()
        return held
