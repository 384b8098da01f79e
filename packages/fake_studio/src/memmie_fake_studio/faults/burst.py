"""Push many events at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults import at_least
from memmie_fake_studio.faults.fault import ConnectionFault
from memmie_fake_studio.hub import encode

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Burst(ConnectionFault):
    """Push `count` numbered events of `size` bytes of padding each, without waiting between them."""

    name: ClassVar[str] = "burst"
    count: int
    event_type: str = "processor.status"
    size: int = 0

    def check(self) -> None:
        """Refuse bursts without end."""
        at_least("count", self.count, 1)
        at_least("100000 - count", 100_000 - self.count, 0)
        at_least("size", self.size, 0)
        at_least("1048576 - size", 1024 * 1024 - self.size, 0)

    def act(self, connection: Connection) -> None:
        """Push."""
        padding = "x" * self.size
        for number in range(self.count):
            connection.push(encode({"type": self.event_type, "data": {"number": number, "padding": padding}}))
