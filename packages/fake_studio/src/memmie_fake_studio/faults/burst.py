"""The fault `burst`: push many events at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from memmie_fake_base.checks import at_least, at_most
from memmie_fake_studio.connection import Connection
from memmie_fake_studio.faults.fault import ConnectionFault
from memmie_fake_studio.hub import encode

_MAX_COUNT: Final = 100_000
"""How many events a burst may have."""

_MAX_SIZE: Final = 1024 * 1024
"""Bytes of padding that each event of a burst may have."""


@dataclass(frozen=True, kw_only=True)
class Burst(ConnectionFault):
    """Push `count` numbered events, each with `size` bytes of padding, without waiting in between."""

    name: ClassVar[str] = "burst"
    count: int
    event_type: str = "processor.status"
    size: int = 0

    def check(self) -> None:
        """Refuse bursts that would take too long or too much memory."""
        at_least("count", self.count, 1)
        at_most("count", self.count, _MAX_COUNT)
        at_least("size", self.size, 0)
        at_most("size", self.size, _MAX_SIZE)

    def act(self, connection: Connection) -> None:
        """Push the events."""
        padding = "x" * self.size
        for number in range(self.count):
            connection.push(encode({"type": self.event_type, "data": {"number": number, "padding": padding}}))
