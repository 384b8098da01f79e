"""Large texts of all clients, which are read in slices, so that others need not wait."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from typing import Final

from memmie_gateway.core.socketio.json_text import Slices

TURN_SECONDS: Final = 0.002
"""How long large texts are read in one turn of the event loop; after that, all else has as much time."""


class LargeTexts:
    """Continues work that is too long for one turn of the event loop; all pieces of work take turns."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[Slices[None]] = deque()

    def __repr__(self) -> str:
        return f"<LargeTexts waiting={len(self._waiting)}>"

    def begin(self, work: Slices[None]) -> bool:
        """Do the first slice of work, and the others in later turns until it ends or is closed; return whether there are others."""
        if not _go_on(work):
            return False
        self._waiting.append(work)
        self._go_on_after(0.0)
        return True

    def _go_on_after(self, seconds: float) -> None:
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = began = time.perf_counter()  # the loop's own time stands still in a turn
        try:
            while self._waiting and now < began + TURN_SECONDS:
                work = self._waiting.popleft()
                if _go_on(work):
                    self._waiting.append(work)
                now = time.perf_counter()
        finally:
            self._go_on_after(now - began)


def _go_on(work: Slices[None]) -> bool:
    """Do the next slice of work, and return whether there is more of it.

    The values that a slice reads are freed at its end. If there are many, the garbage collector would run meanwhile, and
    take much longer than the slice.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        for _ in work:
            return True
        return False
    finally:
        if collects:
            gc.enable()
