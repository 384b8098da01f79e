"""Numbered, checksummed texts of mixed sizes: what the soak sends."""

from __future__ import annotations

import zlib
from typing import Final

_SIZES: Final = (*[16, 64, 128, 256, 512] * 18, *[1 << 10, 2 << 10, 4 << 10] * 3, 64 << 10)
"""Nine in ten are small, one in a hundred fills a gateway's buffer."""

_STRIDE: Final = 37
"""Neighbours differ in size; it has no divisor in common with the number of sizes."""

_PADDING: Final = "".join(chr(0x21 + number % 93) for number in range(max(_SIZES))).translate(
    {0x22: "'", 0x5C: "/"}
)
"""Bytes that differ, and that JSON need not escape."""


def numbered_text(number: int) -> str:
    """Return the text of a number: the number, a checksum of number and padding, and the padding."""
    size = _SIZES[number * _STRIDE % len(_SIZES)]
    start = number % 93
    padding = _PADDING[start : start + size]
    return f"{number}:{_checksum(number, padding)}:{padding}"


def number_of(text: str) -> int | None:
    """Return the number of a text; None if any byte of it has changed."""
    number, _, rest = text.partition(":")
    checksum, _, padding = rest.partition(":")
    if not number.isdigit() or checksum != _checksum(int(number), padding):
        return None
    return int(number)


def _checksum(number: int, padding: str) -> str:
    return format(zlib.crc32(padding.encode(), number & 0xFFFFFFFF), "08x")
