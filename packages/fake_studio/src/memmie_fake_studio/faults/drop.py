"""The fault `drop`: end the connection without a Close frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from memmie_fake_base.checks import one_of
from memmie_fake_studio.connection import Connection
from memmie_fake_studio.faults.fault import ConnectionFault


@dataclass(frozen=True, kw_only=True)
class Drop(ConnectionFault):
    """End the TCP connection with RST or FIN (`how`).

    With `fin`, everything that was sent arrives first; with `rst`, it may be lost.
    """

    name: ClassVar[str] = "drop"
    how: str = "rst"

    def check(self) -> None:
        """Refuse any other way to end it."""
        one_of("how", self.how, ("rst", "fin"))

    def act(self, connection: Connection) -> None:
        """End the connection."""
        connection.wire.drop(f"fault {self.name}", with_reset=self.how == "rst")
