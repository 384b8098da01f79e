"""The fault `close`: close with a code and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from memmie_fake_studio.connection import Connection, check_close
from memmie_fake_studio.faults.fault import ConnectionFault


@dataclass(frozen=True, kw_only=True)
class Close(ConnectionFault):
    """Begin the closing handshake with `code` and `reason`."""

    name: ClassVar[str] = "close"
    code: int = 1011
    reason: str = "scripted"

    def check(self) -> None:
        """Refuse codes that must not be sent and reasons that do not fit a frame."""
        check_close(self.code, self.reason)

    def act(self, connection: Connection) -> None:
        """Send the Close frame."""
        connection.close(self.code, self.reason)
