"""A client's connection without a network, so that a fuzzer can open a hundred thousand of them."""

from __future__ import annotations

import asyncio
from typing import Any, cast


class Wire(asyncio.Transport):
    """Hands bytes to the protocol that owns the connection, and notes what the protocol does.

    Attributes:
        written: the bytes that were written.
        closing: whether the connection was closed, or will be after the last bytes.
    """

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711)})
        self._protocol: asyncio.Protocol = asyncio.Protocol()
        self.written = b""
        self.closing = False

    # Called by the fuzzer.

    def begin(self, protocol: asyncio.Protocol) -> None:
        """Open the connection."""
        self._protocol = protocol
        protocol.connection_made(self)

    def receive(self, data: bytes) -> None:
        """Hand over bytes of the client."""
        self._protocol.data_received(data)

    def lose(self) -> None:
        """End the connection."""
        self._protocol.connection_lost(None)

    # Called by protocols.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Change the owner."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the owner."""
        return self._protocol

    def write(self, data: Any) -> None:
        """Note bytes."""
        self.written += data

    def can_write_eof(self) -> bool:
        """Tell that one direction can be closed."""
        return True

    def write_eof(self) -> None:
        """Close the direction to the client."""
        self.closing = True

    def is_closing(self) -> bool:
        """Tell whether the connection is closing."""
        return self.closing

    def close(self) -> None:
        """Close the connection."""
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        """Read on, because no input is longer than a read."""

    resume_reading = pause_reading
