"""The fault `truncate`: end the connection inside a frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from memmie_fake_base.checks import at_least, at_most, one_of
from memmie_fake_studio.connection import Connection
from memmie_fake_studio.faults.fault import ConnectionFault

_FIN_BINARY: Final = 0x82
"""The first byte of a binary message in one frame (RFC 6455 §5.2)."""

_MAX_PAYLOAD: Final = 2**63 - 1
"""The longest payload a frame header can announce (RFC 6455 §5.2)."""

_MAX_SENT: Final = 1024 * 1024
"""Bytes of the payload that can be written."""


@dataclass(frozen=True, kw_only=True)
class Truncate(ConnectionFault):
    """Announce `promised` bytes of payload, write only `sent` of them, then end the connection with RST or FIN."""

    name: ClassVar[str] = "truncate"
    promised: int = 1000
    sent: int = 10
    how: str = "fin"

    def check(self) -> None:
        """Refuse a frame that would be complete, or that no header can announce."""
        at_least("sent", self.sent, 0)
        at_most("sent", self.sent, _MAX_SENT)
        at_least("promised", self.promised, self.sent + 1)
        at_most("promised", self.promised, _MAX_PAYLOAD)
        one_of("how", self.how, ("rst", "fin"))

    def act(self, connection: Connection) -> None:
        """Write the incomplete frame and end the connection."""
        connection.wire.transport.write(_header(self.promised) + bytes(self.sent))
        connection.wire.drop(f"fault {self.name}", with_reset=self.how == "rst")


def _header(length: int) -> bytes:
    """Return the header of an unmasked frame, with the length in the shortest form, as RFC 6455 §5.2 demands."""
    if length <= 125:
        return struct.pack("!BB", _FIN_BINARY, length)
    if length <= 0xFFFF:
        return struct.pack("!BBH", _FIN_BINARY, 126, length)
    return struct.pack("!BBQ", _FIN_BINARY, 127, length)
