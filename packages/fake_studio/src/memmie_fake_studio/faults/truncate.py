"""Die inside a frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memmie_fake_base.checks import at_least, one_of
from memmie_fake_studio.faults.fault import ConnectionFault

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection

# FIN and opcode binary; a length of 127 says that 8 bytes of length follow (RFC 6455 §5.2).
_BINARY_FRAME = 0x82
_LONG_LENGTH = 127


@dataclass(frozen=True, kw_only=True)
class Truncate(ConnectionFault):
    """Write a frame header that promises `promised` bytes, then only `sent` of them, then end with RST or FIN."""

    name: ClassVar[str] = "truncate"
    promised: int = 1000
    sent: int = 10
    how: str = "fin"

    def check(self) -> None:
        """Refuse a frame that would be whole."""
        at_least("sent", self.sent, 0)
        at_least("promised", self.promised, self.sent + 1)
        at_least("1048576 - sent", 1024 * 1024 - self.sent, 0)
        one_of("how", self.how, ("rst", "fin"))

    def act(self, connection: Connection) -> None:
        """Write the torso and die."""
        header = struct.pack("!BBQ", _BINARY_FRAME, _LONG_LENGTH, self.promised)
        connection.wire.transport.write(header + b"\x00" * self.sent)
        connection.wire.drop(f"fault {self.name}", with_reset=self.how == "rst")
