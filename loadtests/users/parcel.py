"""Numbered, checksummed texts of mixed sizes."""

from __future__ import annotations

import zlib
from typing import Final

_SIZES: Final = (*[16, 64, 128, 256, 512] * 18, *[1 << 10, 2 << 10, 4 << 10] * 3, 64 << 10)
"""Nine in ten are small, one in a hundred fills a gateway's buffer."""

_STRIDE: Final = 37
"""Neighbours differ in size; has no divisor in common with how many sizes there are."""

_PADDING: Final = "".join(chr(0x21 + number % 93) for number in range(max(_SIZES))).translate(
    {0x22: "'", 0x5C: "/"}
)
"""What messages are filled with: bytes that differ, none of which JSON has to escape."""


def pack(number: int) -> str:
    """Return the text of a number: the number, the checksum of what follows and of the number, and padding."""
    size = _SIZES[number * _STRIDE % len(_SIZES)]
    start = number % 93
    padding = _PADDING[start : start + size]
    return f"{number}:{_checksum(number, padding)}:{padding}"


def unpack(text: str) -> int | None:
    """Return the number of a text; None where one byte of it is not as it was packed."""
    number, _, rest = text.partition(":")
    checksum, _, padding = rest.partition(":")
    if not number.isdigit() or checksum != _checksum(int(number), padding):
        return None
    return int(number)


def _checksum(number: int, padding: str) -> str:
    return format(zlib.crc32(padding.encode(), number & 0xFFFFFFFF), "08x")
