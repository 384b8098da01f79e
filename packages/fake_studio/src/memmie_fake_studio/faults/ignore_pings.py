"""Leave pings unanswered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_studio.faults.fault import ConnectionFault

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection


@dataclass(frozen=True, kw_only=True)
class IgnorePings(ConnectionFault):
    """Answer messages as ever, but no ping."""

    name: ClassVar[str] = "ignore_pings"

    def act(self, connection: Connection) -> None:
        """Mute the pongs."""
        connection.wire.protocol.mute_pongs = True
