"""Close with a code and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_studio.connection import check_close
from memmie_fake_studio.faults.fault import ConnectionFault

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Close(ConnectionFault):
    """Begin the close handshake with `code` and `reason`, at once or after some messages."""

    name: ClassVar[str] = "close"
    code: int = 1011
    reason: str = "scripted"

    def check(self) -> None:
        """Refuse codes that may not be on the wire and reasons that do not fit a frame."""
        check_close(self.code, self.reason)

    def act(self, connection: Connection) -> None:
        """Close."""
        connection.close(self.code, self.reason)
