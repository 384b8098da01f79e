"""Read nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_studio.faults.fault import ConnectionFault

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Freeze(ConnectionFault):
    """Stop reading from the socket, as a hung process would: the client's bytes pile up in the kernel."""

    name: ClassVar[str] = "freeze"

    def act(self, connection: Connection) -> None:
        """Freeze."""
        connection.wire.freeze()
