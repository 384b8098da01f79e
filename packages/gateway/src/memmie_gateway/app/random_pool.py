"""Random bits of the operating system, read in large pieces, because each client needs some and reading is a system call."""

from __future__ import annotations

import os
import random
from typing import Final

POOL_BYTES: Final = 4096
"""Number of bytes in one piece."""


class PooledRandom(random.SystemRandom):
    """A `random.SystemRandom` that reads its bits in advance; each bit is used once.

    After a fork, both processes would return the same bits, so a process must not fork while it has one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pool = b""
        self._at = 0

    def randbytes(self, n: int) -> bytes:
        """Return `n` random bytes."""
        at, end = self._at, self._at + n
        if end > len(self._pool):
            self._pool = os.urandom(max(POOL_BYTES, n))
            at, end = 0, n
        self._at = end
        return self._pool[at:end]

    def getrandbits(self, k: int) -> int:
        """Return an integer with `k` random bits."""
        size = (k + 7) // 8
        return int.from_bytes(self.randbytes(size)) >> size * 8 - k

    def random(self) -> float:
        """Return a random number from 0 to 1, without 1."""
        return self.getrandbits(53) / (1 << 53)
