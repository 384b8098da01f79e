"""Control frames, the only frames that the gateway creates itself (RFC 6455 §5.5)."""

from __future__ import annotations

from typing import Final

# Opcodes, RFC 6455 §5.2.
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MAX_CONTROL_PAYLOAD: Final = 125
"""Maximum payload in bytes (RFC 6455 §5.5)."""


def control_frame(opcode: int, payload: bytes, *, key: bytes | None) -> bytes:
    """Build a control frame.

    Args:
        opcode: CLOSE, PING or PONG.
        payload: at most 125 bytes.
        key: the 4-byte masking key for a frame to a server; None for a frame to a client.

    Raises:
        ValueError: the payload is too long.
    """
    if len(payload) > MAX_CONTROL_PAYLOAD:
        raise ValueError(f"a control frame carries at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}")
    if key is None:
        return bytes((0x80 | opcode, len(payload))) + payload
    return bytes((0x80 | opcode, 0x80 | len(payload))) + key + mask(payload, key)


def close_payload(code: int, reason: str = "") -> bytes:
    """Build the payload of a Close frame; a reason that is too long is cut between two characters.

    For a code that must not be sent, such as 1005, 1006 or 1015, the payload is empty (RFC 6455 §7.4.1).
    """
    if not valid_close_code(code):
        return b""
    text = reason.encode()[: MAX_CONTROL_PAYLOAD - 2]
    return code.to_bytes(2, "big") + text.decode(errors="ignore").encode()


def valid_close_code(code: int) -> bool:
    """Tell whether `code` is allowed in a Close frame (RFC 6455 §7.4 and the IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def mask(payload: bytes, key: bytes) -> bytes:
    """Mask or unmask a small payload with a 4-byte key (RFC 6455 §5.3)."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(size)
