"""WebSocket frames as bytes, including frames that the protocol forbids (RFC 6455 §5)."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MASK: Final = b"\x37\xfa\x21\x3d"
"""RFC 6455 §5.7 uses it in its examples."""

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NAMES: Final = {CONT: "CONT", TEXT: "TEXT", BINARY: "BINARY", CLOSE: "CLOSE", PING: "PING", PONG: "PONG"}
"""The opcodes by name, for messages to people."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was read; `raw` has its bytes on the wire."""

    opcode: int
    payload: bytes
    fin: bool = True
    reserved: int = 0
    masked: bool = False
    raw: bytes = field(default=b"", repr=False)


def build(
    opcode: int, payload: bytes = b"", *, mask: bytes | None = None, fin: bool = True, reserved: int = 0
) -> bytes:
    """Build a frame, valid or not (RFC 6455 §5.2)."""
    first = (0x80 if fin else 0) | reserved | opcode
    mask_bit = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, mask_bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, mask_bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, size)
    return head + payload if mask is None else head + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask a payload (RFC 6455 §5.3)."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def close_body(code: int, reason: str = "") -> bytes:
    """Build the payload of a Close frame with any code."""
    return struct.pack("!H", code) + reason.encode()


def in_chunks(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut bytes at these offsets."""
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(at)]
