"""A case: one way to make a measurement."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.common.units import shown


@dataclass(frozen=True, slots=True)
class Case:
    """One way to make a measurement.

    Attributes:
        measurement: its name.
        connections: how many take part.
        size: of a message in bytes; None without messages.
        rate: messages a second of each connection; None if it is not fixed.
        seconds: length of the window; None without one.
    """

    measurement: str
    connections: int
    size: int | None = None
    rate: float | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        """Fit in a cell of a table."""
        parts = [f"{self.connections:,}"]
        if self.rate is not None:
            parts.append(f"{self.rate:g}/s")
        if self.size is not None:
            parts.append(f"{self.size // 1024} KiB" if self.size % 1024 == 0 else f"{self.size} B")
        return " × ".join(parts)  # noqa: RUF001 - a multiplication sign

    @property
    def described(self) -> str:
        """The case in words, for a title."""
        parts = [f"{self.connections:,} connections"]
        if self.rate is not None:
            parts.append(f"{self.rate:g}/s each")
        if self.size is not None:
            parts.append(shown(self.size, "bytes"))
        return ", ".join(parts)
