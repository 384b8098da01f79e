"""Drop the connection without a close frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.faults import one_of
from memmie_fake_studio.faults.fault import ConnectionFault

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Drop(ConnectionFault):
    """End the TCP connection with RST or FIN, at once after the handshake or after some messages.

    With `fin` all that was sent arrives first; with `rst` it may be lost on its way.
    """

    name: ClassVar[str] = "drop"
    how: str = "rst"

    def check(self) -> None:
        """Refuse any other end."""
        one_of("how", self.how, ("rst", "fin"))

    def act(self, connection: Connection) -> None:
        """Drop."""
        connection.wire.drop(f"fault {self.name}", with_reset=self.how == "rst")
