"""Bytes of a client that were read, and wait until its message rate allows to forward them (spec §8).

They are cut between two frames, for which only the length of each frame is read. `FrameScanner` checks the frames when
they are forwarded. After an invalid frame, the cuts may be anywhere, but nothing is forwarded any more then.
"""

from __future__ import annotations

from typing import Final

SMALLEST_FRAME: Final = 6
"""Bytes of the smallest frame of a client: two of the header, and the masking key (RFC 6455 §5.2).

A chunk with fewer than six bytes for each token that is left has enough tokens, so its frames need not be counted. They
are fewer than the tokens, and one frame may have begun before.
"""

_OVERHEAD: Final = SMALLEST_FRAME


def cut(data: bytes, start: int, frames: int) -> tuple[int, int]:
    """Find the end of a number of frames.

    Args:
        data: masked frames, of which the last may be incomplete.
        start: where a frame begins, perhaps behind the data.
        frames: maximum number of frames.

    Returns:
        The position after these frames, and their number. An incomplete frame counts, and ends with the data.
    """
    at, end, counted = start, len(data), 0
    while at < end and counted < frames:
        counted += 1
        if at + 1 == end:
            return end, counted
        length = data[at + 1] & 0x7F
        if length > 125:
            size = 2 if length == 126 else 8
            length = size + int.from_bytes(data[at + 2 : at + 2 + size], "big")
        at += _OVERHEAD + length
    return min(at, end), counted


class HeldBytes:
    """Bytes that wait; they begin with a frame.

    Args:
        data: the bytes.
        frames: the number of frames in them, an incomplete last one included.

    Attributes:
        frames: number of frames that still wait.
    """

    __slots__ = ("_at", "_data", "frames")

    def __init__(self, data: bytes = b"", frames: int = 0) -> None:
        self._data = data
        self._at = 0
        self.frames = frames

    def __repr__(self) -> str:
        return f"<HeldBytes bytes={len(self)} frames={self.frames}>"

    def __len__(self) -> int:
        """Return the number of bytes that wait."""
        return len(self._data) - self._at

    def take(self, frames: int) -> bytes:
        """Return the first frames, which then wait no longer."""
        start = self._at
        self._at, taken = cut(self._data, start, frames)
        self.frames -= taken
        return self._data[start : self._at]

    def take_all(self) -> bytes:
        """Return everything that waits."""
        rest = self._data[self._at :]
        self._data, self._at, self.frames = b"", 0, 0
        return rest
