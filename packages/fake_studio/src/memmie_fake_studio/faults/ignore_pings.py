"""The fault `ignore_pings`: do not answer pings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from memmie_fake_studio.connection import Connection
from memmie_fake_studio.faults.fault import ConnectionFault


@dataclass(frozen=True, kw_only=True)
class IgnorePings(ConnectionFault):
    """Answer messages as usual, but send no pongs."""

    name: ClassVar[str] = "ignore_pings"

    def act(self, connection: Connection) -> None:
        """Stop sending pongs."""
        connection.wire.protocol.ignores_pings = True
