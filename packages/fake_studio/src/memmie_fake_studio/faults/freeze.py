"""The fault `freeze`: stop reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from memmie_fake_studio.connection import Connection
from memmie_fake_studio.faults.fault import ConnectionFault


@dataclass(frozen=True, kw_only=True)
class Freeze(ConnectionFault):
    """Stop reading from the socket, as a hung process would; the client's bytes fill the kernel's buffers."""

    name: ClassVar[str] = "freeze"

    def act(self, connection: Connection) -> None:
        """Stop reading."""
        connection.wire.freeze()
